package inmemory

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/mastio-aws/mastio/shared/boot"
)

// Invoke passes the dashboard's orders on to the function rotateca, as Lambda does.
func (m *Mastio) Invoke(ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	answer, err := boot.Desk(m.RotateCA, m.Door, slog.New(slog.DiscardHandler)).Serve(ctx, slices.Clone(in.Payload))
	if err != nil {
		return &lambda.InvokeOutput{FunctionError: aws.String("Unhandled")}, nil //nolint:nilerr // that is how Lambda tells of it
	}
	payload, err := json.Marshal(answer)
	return &lambda.InvokeOutput{Payload: payload}, err
}
