package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mastio-aws/mastio/shared/edge/secrets"
)

// vault is Secrets Manager with one secret: its versions by stage.
type vault struct {
	stages map[string]string
	err    error
	calls  int
	asked  string
	ids    bool
}

// GetSecretValue answers the version of a stage.
func (v *vault) GetSecretValue(
	_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	v.calls++
	v.asked = aws.ToString(in.SecretId)
	if v.err != nil {
		return nil, v.err
	}
	value, ok := v.stages[aws.ToString(in.VersionStage)]
	if !ok {
		return nil, fmt.Errorf("operation error: %w", &types.ResourceNotFoundException{})
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(value), VersionId: v.id(value)}, nil
}

// id names a version by its value, or not at all.
func (v *vault) id(value string) *string {
	if !v.ids {
		return nil
	}
	return aws.String("id of " + value)
}

type desk struct {
	*vault
	*secrets.Secret
	now time.Time
}

func open(stages map[string]string) *desk {
	d := &desk{vault: &vault{stages: stages}, now: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	d.Secret = secrets.New(d.vault, "mastio/admin", func() time.Time { return d.now })
	return d
}

func (d *desk) want(t *testing.T, shown string, stage secrets.Stage, ok bool) {
	t.Helper()
	got, accepted, err := d.Check(t.Context(), shown)
	if err != nil || got != string(stage) || accepted != ok {
		t.Errorf("%q: stage %q, accepted %t, %v; want %q, %t", shown, got, accepted, err, stage, ok)
	}
}

// The audit trail names the version itself: its label goes on to the next one.
func TestVersionsAreNamedByTheirIDs(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "new", "AWSPREVIOUS": "old"})
	d.ids = true
	d.want(t, "new", "id of new", true)
	d.want(t, "old", "id of old", true)
	d.want(t, "none", "", false)
}

func TestBothStagesAreAccepted(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "new", "AWSPREVIOUS": "old", "AWSPENDING": "next"})
	d.want(t, "new", secrets.Current, true)
	d.want(t, "old", secrets.Previous, true)
	for _, wrong := range []string{"next", "", "ne", "neww", "NEW", "new ", "new\x00", "\xff",
		strings.Repeat("new", 10000)} {
		d.want(t, wrong, "", false)
	}
	if d.asked != "mastio/admin" || d.calls != 2 {
		t.Errorf("%d calls for %q, want one look at both stages", d.calls, d.asked)
	}
}

func TestReadable(t *testing.T) {
	for name, c := range map[string]struct {
		vault *vault
		ok    bool
	}{
		"current and previous": {&vault{stages: map[string]string{"AWSCURRENT": "new", "AWSPREVIOUS": "old"}}, true},
		"current alone":        {&vault{stages: map[string]string{"AWSCURRENT": "new"}}, true},
		"previous alone":       {&vault{stages: map[string]string{"AWSPREVIOUS": "old"}}, false},
		"empty":                {&vault{stages: map[string]string{"AWSCURRENT": ""}}, false},
		"no secret":            {&vault{}, false},
		"no permission":        {&vault{err: errors.New("AccessDeniedException")}, false},
	} {
		err := secrets.New(c.vault, "mastio/admin", time.Now).Readable(t.Context())
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, secrets.ErrSecrets) {
			t.Errorf("%s: %v, want readable: %t", name, err, c.ok)
		}
	}
}

func TestStagesWithoutAValue(t *testing.T) {
	alone := open(map[string]string{"AWSCURRENT": "new"})
	alone.want(t, "new", secrets.Current, true)
	alone.want(t, "", "", false)
	empty := open(map[string]string{"AWSCURRENT": "", "AWSPREVIOUS": ""})
	empty.want(t, "", "", false)
	empty.want(t, "x", "", false)
	same := open(map[string]string{"AWSCURRENT": "s", "AWSPREVIOUS": "s"})
	same.want(t, "s", secrets.Current, true)
}

func TestNothingShownAsksNobody(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "new"})
	d.want(t, "", "", false)
	if d.calls != 0 {
		t.Errorf("%d calls", d.calls)
	}
}

func TestRotationOfTheSecret(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "first"})
	d.want(t, "first", secrets.Current, true)
	d.now = d.now.Add(10 * time.Second)
	d.stages = map[string]string{"AWSCURRENT": "second", "AWSPREVIOUS": "first"}
	d.want(t, "second", secrets.Current, true) // at once, although the first is still believed
	d.want(t, "first", secrets.Previous, true)

	d.stages = map[string]string{"AWSCURRENT": "third", "AWSPREVIOUS": "second"}
	d.now = d.now.Add(time.Minute - time.Nanosecond)
	d.want(t, "first", secrets.Previous, true) // believed to the end of the minute
	d.now = d.now.Add(time.Nanosecond)
	d.want(t, "first", "", false)
	d.want(t, "second", secrets.Previous, true)
	d.want(t, "third", secrets.Current, true)
}

// What was read while this instance's clock was ahead is not believed for as long as it was.
func TestSecretThatWasReadByAClockThatWasAhead(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "first"})
	d.now = d.now.Add(48 * time.Hour)
	d.want(t, "first", secrets.Current, true)
	d.stages = map[string]string{"AWSCURRENT": "third", "AWSPREVIOUS": "second"}
	d.now = d.now.Add(-48 * time.Hour)
	d.want(t, "first", "", false)
	d.want(t, "third", secrets.Current, true)
}

func TestSteadyUseIsOneLookAMinute(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "new", "AWSPREVIOUS": "old"})
	for range 600 {
		d.want(t, "new", secrets.Current, true)
		d.now = d.now.Add(100 * time.Millisecond)
	}
	if d.calls != 2 {
		t.Errorf("%d calls in a minute, want 2", d.calls)
	}
	d.want(t, "new", secrets.Current, true)
	if d.calls != 4 {
		t.Errorf("%d calls after a minute, want 4", d.calls)
	}
}

func TestGuessingIsOneLookASecond(t *testing.T) {
	for name, err := range map[string]error{"that answers": nil, "that fails": errors.New("throttled")} {
		t.Run("a store "+name, func(t *testing.T) {
			d := open(map[string]string{"AWSCURRENT": "new", "AWSPREVIOUS": "old"})
			d.want(t, "new", secrets.Current, true)
			d.now, d.err, d.calls = d.now.Add(time.Minute), err, 0
			for i := range 1000 { // ten seconds
				if _, ok, _ := d.Check(t.Context(), fmt.Sprint("guess", i)); ok {
					t.Fatal("a guess was right")
				}
				d.now = d.now.Add(10 * time.Millisecond)
			}
			if d.calls > 20 || d.calls < 10 {
				t.Errorf("%d calls in ten seconds, want a look of at most two calls a second", d.calls)
			}
		})
	}
}

func TestUnreadableSecretLetsNobodyIn(t *testing.T) {
	cause := errors.New("access denied")
	d := open(map[string]string{"AWSCURRENT": "new"})
	d.err = cause
	refused := func() {
		t.Helper()
		if stage, ok, err := d.Check(t.Context(), "new"); !errors.Is(err, secrets.ErrSecrets) || !errors.Is(err, cause) ||
			ok || stage != "" {
			t.Errorf("answer = %q, %t, %v; want ErrSecrets", stage, ok, err)
		}
	}
	refused()
	d.err, d.now = nil, d.now.Add(time.Second)
	d.want(t, "new", secrets.Current, true)
	d.err, d.now = cause, d.now.Add(time.Minute-time.Nanosecond)
	d.want(t, "new", secrets.Current, true) // what was read is believed for its minute
	d.now = d.now.Add(time.Nanosecond)
	refused()
	missing := open(nil)
	if _, ok, err := missing.Check(t.Context(), "new"); !errors.Is(err, secrets.ErrSecrets) || ok {
		t.Errorf("without AWSCURRENT: %t, %v; want ErrSecrets", ok, err)
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	d := open(map[string]string{"AWSCURRENT": "top-secret"})
	d.err = errors.New("throttled")
	if _, _, err := d.Check(t.Context(), "shown-secret"); err == nil || strings.Contains(err.Error(), "-secret") {
		t.Errorf("err = %v", err)
	}
}
