package boot_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// replies is a function rotateca that answers the same to everything.
type replies string

func (r replies) Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	return &lambda.InvokeOutput{Payload: []byte(r)}, nil
}

// An unreadable problem does not say what was done: the caller has to look.
func TestAProblemThatCannotBeReadIsNoRefusal(t *testing.T) {
	for reply, unknown := range map[replies]bool{
		`{"problem":{"status":409,"code":"rotation_in_progress"}}`: false,
		`{"problem":{}}`:                         true,
		`{"problem":"no"}`:                       true,
		`{"problem":{"status":200,"code":"ok"}}`: true,
		`{"problem":{"status":503}}`:             true,
	} {
		_, err := (&remoteca.Client{
			API:      reply,
			Function: "rotateca:live",
		}).Do(t.Context(), "token", rotateca.Request{Mode: rotateca.Mint})
		if err == nil || errors.Is(err, registry.ErrUnknown) != unknown {
			t.Errorf("%s: %v, want an unknown outcome: %t", reply, err, unknown)
		}
		if p := problem.Of(err); (p.Code == "outcome_unknown") != unknown {
			t.Errorf("%s: reported as %q", reply, p.Code)
		}
	}
}
