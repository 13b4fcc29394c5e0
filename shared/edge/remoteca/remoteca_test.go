package remoteca_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
)

// office is a desk, and the way to it.
type office struct {
	remoteca.Desk
	log     bytes.Buffer
	passed  []byte // the payload of the last invocation
	options int
	reply   func(*lambda.InvokeOutput, error) (*lambda.InvokeOutput, error) // nil: as it is
}

func (o *office) Invoke(
	ctx context.Context, in *lambda.InvokeInput, options ...func(*lambda.Options),
) (*lambda.InvokeOutput, error) {
	o.passed, o.options = slices.Clone(in.Payload), len(options)
	out := &lambda.InvokeOutput{}
	answer, err := o.Serve(ctx, slices.Clone(in.Payload))
	if err != nil {
		out.FunctionError = aws.String("Unhandled")
	} else if out.Payload, err = json.Marshal(answer); err != nil {
		return nil, err
	}
	if o.reply != nil {
		return o.reply(out, nil)
	}
	return out, nil
}

func newOffice(do func(context.Context, rotateca.Request) (rotateca.Result, error)) (*office, *remoteca.Client) {
	o := &office{}
	o.Desk = remoteca.Desk{Do: do, Open: open, Log: slog.New(slog.NewJSONHandler(&o.log, nil))}
	return o, &remoteca.Client{API: o, Function: "mastio-acme-rotateca:live"}
}

// token is that of the one session that counts.
const token = "the-token-of-the-session"

// lesser is that of a session whose admin may do everything with agents.
const lesser = "the-token-of-an-operator"

func open(_ context.Context, shown string) (signin.Visit, error) {
	switch shown {
	case token:
		return signin.Visit{Session: session.Session{Actor: "dashboard:v1/abcdef01"}, Admin: admin.Holder("v1")}, nil
	case lesser:
		return signin.Visit{
			Session: session.Session{Actor: "admin:alice"},
			Admin:   admin.Admin{Name: "alice", Role: admin.Operator},
		}, nil
	}
	return signin.Visit{}, session.ErrNone
}

func full() rotateca.Request {
	return rotateca.Request{
		Mode:           rotateca.Stage,
		Upload:         &rotateca.Files{Certificates: []byte("the certificates"), Key: []byte("the-private-key")},
		Fingerprint:    strings.Repeat("ab", 32),
		Overlap:        7 * 24 * time.Hour,
		At:             time.Date(2027, 1, 15, 2, 0, 0, 0, time.UTC),
		Moves:          orgca.Moves{Waves: orgca.DefaultWaves(), Hold: time.Minute, OnHalt: orgca.RollBackOnHalt},
		DryRun:         true,
		IfSafe:         true,
		SkipBackup:     true,
		Reason:         "superseded",
		Comment:        "ticket 12",
		By:             audit.By{Actor: "dashboard:v1/abcdef01", RequestID: "the-request", SourceIP: "192.0.2.1"},
		IdempotencyKey: "dashboard-1",
	}
}

func TestAnOrderArrivesWhole(t *testing.T) {
	// A field that is added to a request and forgotten here would be lost on the way.
	v := reflect.ValueOf(full())
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && v.Field(i).IsZero() && f.Name != "Migration" && f.Name != "Plan" {
			t.Errorf("the test's request leaves %s empty", f.Name)
		}
	}
	want := rotateca.Result{
		Generation:  7,
		Fingerprint: "f",
		Chain:       []string{"PEM"},
		Previous:    &rotateca.Previous{Generation: 6},
	}
	var got rotateca.Request
	o, client := newOffice(func(_ context.Context, req rotateca.Request) (rotateca.Result, error) {
		got = req
		got.Upload = &rotateca.Files{Certificates: slices.Clone(req.Upload.Certificates), Key: slices.Clone(req.Upload.Key)}
		return want, nil
	})
	sent := full()
	sent.Actor = "dashboard:ALICE/00000000" // who acts is not for the sender to say
	result, err := client.Do(t.Context(), token, sent)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got, cmpopts.IgnoreUnexported(rotateca.Request{})); diff != "" {
		t.Errorf("the order (-sent +arrived):\n%s", diff)
	}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("the result (-want +got):\n%s", diff)
	}
	if strings.Trim(string(sent.Upload.Key), "\x00") != "" ||
		strings.Trim(string(sent.Upload.Certificates), "\x00") != "" {
		t.Error("the upload was not overwritten where it came from")
	}
	if log := o.log.String(); strings.Contains(log, "the-private-key") ||
		!strings.Contains(log, `"actor":"dashboard:v1/abcdef01"`) {
		t.Errorf("log: %s", log)
	}
}

func TestTheEventIsOverwritten(t *testing.T) {
	o, client := newOffice(func(context.Context, rotateca.Request) (rotateca.Result, error) {
		return rotateca.Result{},
			nil
	})
	if _, err := client.Do(t.Context(), token, full()); err != nil {
		t.Fatal(err)
	}
	event := slices.Clone(o.passed)
	if _, err := o.Serve(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if strings.Trim(string(event), "\x00") != "" {
		t.Errorf("the event still reads %.100s", event)
	}
}

func TestRefusal(t *testing.T) {
	o, client := newOffice(func(context.Context, rotateca.Request) (rotateca.Result, error) {
		return rotateca.Result{}, fmt.Errorf("acquire: %w", orgca.ErrLeaseHeld.After(7*time.Second))
	})
	_, err := client.Do(t.Context(), token, full())
	want := problem.Of(orgca.ErrLeaseHeld.After(7 * time.Second))
	want.RequestID = "the-request"
	if diff := cmp.Diff(want, problem.Of(err), cmpopts.IgnoreUnexported(problem.Problem{})); diff != "" ||
		!errors.Is(err, orgca.ErrLeaseHeld) || errors.Is(err, orgca.ErrLeaseLost) {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	if log := o.log.String(); !strings.Contains(log, orgca.ErrLeaseHeld.Error()) ||
		!strings.Contains(log, `"code":"rotation_in_progress"`) {
		t.Errorf("the log does not name the cause: %s", log)
	}
}

// Whatever happens on the way, the operator learns whether the order may have had an effect.
func TestOutcomes(t *testing.T) {
	for name, tt := range map[string]struct {
		out  *lambda.InvokeOutput
		err  error
		want error
	}{
		"throttled":       {nil, &types.TooManyRequestsException{}, registry.ErrUnavailable},
		"not ready":       {nil, &types.ResourceNotReadyException{}, registry.ErrUnavailable},
		"the line is cut": {nil, errors.New("connection reset"), registry.ErrUnknown},
		"it ran out of time": {&lambda.InvokeOutput{
			FunctionError: aws.String("Unhandled"),
			Payload:       []byte(`{"errorMessage":"Task timed out"}`),
		}, nil, registry.ErrUnknown},
		"no answer":     {&lambda.InvokeOutput{}, nil, registry.ErrUnknown},
		"not an answer": {&lambda.InvokeOutput{Payload: []byte(`{}`)}, nil, registry.ErrUnknown},
		"both":          {&lambda.InvokeOutput{Payload: []byte(`{"result":{},"problem":{}}`)}, nil, registry.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			o, client := newOffice(func(context.Context, rotateca.Request) (rotateca.Result, error) {
				return rotateca.Result{},
					nil
			})
			o.reply = func(*lambda.InvokeOutput, error) (*lambda.InvokeOutput, error) { return tt.out, tt.err }
			if _, err := client.Do(t.Context(), token, full()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// The time to answer is shorter than the time there is: the page that says so has to be written too.
func TestTimeIsKeptForTheAnswer(t *testing.T) {
	var left time.Duration
	_, client := newOffice(func(ctx context.Context, _ rotateca.Request) (rotateca.Result, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return rotateca.Result{}, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := client.Do(ctx, token, full()); err != nil || left > 18*time.Second {
		t.Errorf("%v left, %v", left, err)
	}
}

func TestDefaultDeny(t *testing.T) {
	for name, event := range map[string]string{
		"nothing":               ``,
		"null":                  `null`,
		"a schedule's":          `{"source":"aws.events","detail-type":"Scheduled Event"}`,
		"no order":              `{}`,
		"an empty order":        `{"rotate_ca":{}}`,
		"an unknown field":      `{"rotate_ca":{"mode":"mint","session":"the-token-of-the-session","migration":true}}`,
		"an actor that says so": `{"rotate_ca":{"mode":"mint","actor":"dashboard:v1/abcdef01"}}`,
		"an actor besides":      `{"rotate_ca":{"mode":"mint","session":"the-token-of-the-session","actor":"admin:1"}}`,
		"no session":            `{"rotate_ca":{"mode":"mint"}}`,
		"two":                   `{"rotate_ca":{"mode":"mint","session":"the-token-of-the-session"}} {}`,
		"an endless overlap":    `{"rotate_ca":{"mode":"mint","session":"the-token-of-the-session","overlap_seconds":9223372036854775807}}`,
		"a negative overlap":    `{"rotate_ca":{"mode":"mint","session":"the-token-of-the-session","overlap_seconds":-1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := newOffice(func(context.Context, rotateca.Request) (rotateca.Result, error) {
				t.Error("it was carried out")
				return rotateca.Result{}, nil
			})
			if _, err := o.Serve(t.Context(), json.RawMessage(event)); !errors.Is(err, remoteca.ErrOrder) {
				t.Errorf("got %v, want %v", err, remoteca.ErrOrder)
			}
		})
	}
}

// Who may invoke the function, and has no session, gets nothing done: not with another token, nor with what the store
// has of one, which is its hash.
func TestASessionIsProved(t *testing.T) {
	for name, shown := range map[string]string{"another token": "x", "its hash": session.ID(token),
		"its actor": "dashboard:v1/abcdef01"} {
		o, client := newOffice(func(context.Context, rotateca.Request) (rotateca.Result, error) {
			t.Errorf("%s: it was carried out", name)
			return rotateca.Result{}, nil
		})
		_, err := client.Do(t.Context(), shown, full())
		if !errors.Is(err, session.ErrNone) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
		if log := o.log.String(); !strings.Contains(log, session.ErrNone.Error()) || strings.Contains(log, shown+`"`) {
			t.Errorf("%s: log: %s", name, log)
		}
	}
}

// The function decides by the admin's role again, whatever the dashboard has let through.
func TestAnOrderTakesTheRole(t *testing.T) {
	_, client := newOffice(func(context.Context, rotateca.Request) (rotateca.Result, error) {
		t.Error("it was carried out")
		return rotateca.Result{}, nil
	})
	if _, err := client.Do(t.Context(), lesser, full()); !errors.Is(err, admin.ErrRole) {
		t.Errorf("%v, want %v", err, admin.ErrRole)
	}
}

func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"rotate_ca":{"mode":"mint","session":"the-token-of-the-session","request_id":"r","source_ip":"192.0.2.1","overlap_seconds":60}}`))
	f.Add([]byte(`{"rotate_ca":{"mode":"stage","session":"the-token-of-the-session","certificates":"AA==","key":"AA=="}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		o, _ := newOffice(func(_ context.Context, req rotateca.Request) (rotateca.Result, error) {
			if req.Actor != "dashboard:v1/abcdef01" || req.Overlap < 0 || req.Migration {
				t.Errorf("carried out: %+v", req)
			}
			return rotateca.Result{}, nil
		})
		answer, err := o.Serve(t.Context(), event)
		if (err == nil) == (answer == nil) {
			t.Errorf("answer %v, error %v", answer, err)
		}
	})
}
