package dynamo

import "github.com/mastio-aws/mastio/shared/audit"

// RowItem is the item that a row is stored as, for filling a table in batches.
func RowItem(r audit.Row) (item, error) { return encodeRow(r) }
