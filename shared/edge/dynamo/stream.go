package dynamo

import (
	"fmt"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/audit"
)

// StreamedRow reads the row of a record of the audit table's stream. ok is false for a record without a row: rows are
// only ever inserted.
func StreamedRow(r lambdaevents.DynamoDBEventRecord) (row audit.Row, ok bool, err error) {
	if r.EventName != string(lambdaevents.DynamoDBOperationTypeInsert) {
		return audit.Row{}, false, nil
	}
	encoded, there := r.Change.NewImage["row"]
	if !there || encoded.DataType() != lambdaevents.DataTypeString {
		return audit.Row{}, false, fmt.Errorf("%w: a record of the stream without a row", errMalformed)
	}
	row, err = audit.Decode([]byte(encoded.String()))
	return row, err == nil, err
}
