package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/session"
)

const prefix = "mastio/admins/orga/"

// safe is Secrets Manager with the secrets of named admins.
type safe struct {
	*secrets.Admins
	values  map[string]string // by name
	missing error             // what is answered for a name without one
	err     error
	asked   []string
	now     time.Time
	log     bytes.Buffer
	version int
}

func openSafe() *safe {
	s := &safe{
		values:  map[string]string{},
		missing: &types.ResourceNotFoundException{},
		now:     time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
	}
	now := func() time.Time { return s.now }
	s.Admins = &secrets.Admins{
		Secret: secrets.New(&vault{stages: map[string]string{"AWSCURRENT": "the:one"}}, "one", now),
		Named:  secrets.NewDirectory(s, prefix, now, slog.New(slog.NewJSONHandler(&s.log, nil))),
	}
	return s
}

// GetSecretValue answers the current version of a name.
func (s *safe) GetSecretValue(
	_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	name := strings.TrimPrefix(aws.ToString(in.SecretId), prefix)
	s.asked = append(s.asked, name)
	if s.err != nil {
		return nil, s.err
	}
	value, ok := s.values[name]
	if !ok || aws.ToString(in.VersionStage) != "AWSCURRENT" {
		return nil, fmt.Errorf("operation error: %w", s.missing)
	}
	id := fmt.Sprintf("v%d of %s", s.version, name)
	return &secretsmanager.GetSecretValueOutput{SecretString: &value, VersionId: &id}, nil
}

func secretOf(name string) string { return strings.Repeat(name, 32)[:32] }

func (s *safe) put(name string, role admin.Role, secret string) {
	s.version++
	s.values[name] = fmt.Sprintf(`{"secret":%q,"role":%q}`, secret, role)
}

// check shows a secret, and returns whose it is and how many calls that took.
func (s *safe) check(t *testing.T, shown string) (who admin.Admin, ok bool, calls int) {
	t.Helper()
	before := len(s.asked)
	who, ok, err := s.Check(t.Context(), shown)
	if err != nil {
		t.Fatalf("%.10s: %v", shown, err)
	}
	return who, ok, len(s.asked) - before
}

func TestANamedAdmin(t *testing.T) {
	s := openSafe()
	s.put("alice", admin.Operator, secretOf("a"))
	who, ok, calls := s.check(t, "alice:"+secretOf("a"))
	if !ok || who.Name != "alice" || who.Role != admin.Operator || who.Actor() != "admin:alice" || calls != 1 {
		t.Errorf("%+v, %t, %d calls", who, ok, calls)
	}
	for range 100 {
		if _, ok, calls := s.check(t, "alice:"+secretOf("a")); !ok || calls != 0 {
			t.Fatalf("again: %t, %d calls", ok, calls)
		}
	}
	for _, shown := range []string{secretOf("a"), "alice:" + secretOf("b"), "alice:" + secretOf("a") + "x",
		"bob:" + secretOf("a"), "alice:" + secretOf("a")[1:], "Alice:" + secretOf("a"), "alice", "alice:",
		":" + secretOf("a"), "the:on", "the:one "} {
		if _, ok, _ := s.check(t, shown); ok {
			t.Errorf("%q is accepted", shown)
		}
	}
}

// The one secret may look like a named admin's, and is the ca-officer's all the same, whatever the named ones do.
func TestTheOneSecretWithAColon(t *testing.T) {
	s := openSafe()
	if who, ok, _ := s.check(t, "the:one"); !ok || who.Role != admin.CAOfficer || who.Name != "" {
		t.Errorf("%+v, %t", who, ok)
	}
	s.err, s.now = errors.New("throttled"), s.now.Add(time.Hour)
	if who, ok, _ := s.check(t, "the:one"); !ok || who.Role != admin.CAOfficer {
		t.Errorf("while the others cannot be read: %+v, %t", who, ok)
	}
}

// A secret that was changed or deleted, or whose role was changed, stops within a minute, in any way that AWS says so.
func TestANamedSecretStopsWithinAMinute(t *testing.T) {
	for name, change := range map[string]func(s *safe){
		"changed":       func(s *safe) { s.put("alice", admin.Operator, secretOf("b")) },
		"deleted":       func(s *safe) { delete(s.values, "alice") },
		"to be deleted": func(s *safe) { delete(s.values, "alice"); s.missing = &types.InvalidRequestException{} },
		"deleted, by denial": func(s *safe) {
			delete(s.values, "alice")
			s.missing = &smithy.GenericAPIError{Code: "AccessDeniedException"}
		},
		"damaged": func(s *safe) { s.values["alice"] = `{"secret":"` + secretOf("a") + `"}` },
		"emptied": func(s *safe) { s.values["alice"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := openSafe()
			s.put("alice", admin.Operator, secretOf("a"))
			who, ok, _ := s.check(t, "alice:"+secretOf("a"))
			if !ok {
				t.Fatal("not accepted")
			}
			change(s)
			s.now = s.now.Add(time.Minute)
			if _, ok, _ := s.check(t, "alice:"+secretOf("a")); ok {
				t.Error("accepted after a minute")
			}
			if _, ok, err := s.Still(t.Context(), "alice", who.Version); ok || err != nil {
				t.Errorf("its session goes on: %v", err)
			}
		})
	}
	s := openSafe()
	s.put("alice", admin.Operator, secretOf("a"))
	s.check(t, "alice:"+secretOf("a"))
	s.put("alice", admin.Viewer, secretOf("a"))
	s.now = s.now.Add(time.Minute)
	if who, ok, _ := s.check(t, "alice:"+secretOf("a")); !ok || who.Role != admin.Viewer {
		t.Errorf("with a lesser role: %+v, %t", who, ok)
	}
}

func TestASessionOfANamedAdminIsOneLookAMinute(t *testing.T) {
	s := openSafe()
	s.put("alice", admin.Operator, secretOf("a"))
	for range 120 {
		if who, ok, err := s.Still(t.Context(), "alice", "v1 of alice"); !ok || err != nil || who.Role != admin.Operator {
			t.Fatalf("%+v, %t, %v", who, ok, err)
		}
		s.now = s.now.Add(time.Second)
	}
	if len(s.asked) != 2 {
		t.Errorf("%d calls in two minutes", len(s.asked))
	}
	for _, c := range [][2]string{{"alice", "v2 of alice"}, {"alice", ""}, {"bob", "v1 of alice"}, {"", ""},
		{"", "v1 of alice"}} {
		if _, ok, err := s.Still(t.Context(), c[0], c[1]); ok || err != nil {
			t.Errorf("%q, %q: %t, %v", c[0], c[1], ok, err)
		}
	}
	if who, ok, err := s.Still(t.Context(), "", "AWSCURRENT"); !ok || err != nil || who.Role != admin.CAOfficer {
		t.Errorf("the one secret: %+v, %t, %v", who, ok, err)
	}
}

// Guesses under a name that exists and under one that does not cost the same calls, second by second, on an instance
// that knows the name, and on one that does not; whatever AWS answers for the one that does not.
func TestANameCannotBeFoundOutByItsCalls(t *testing.T) {
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException"}
	for _, missing := range []error{&types.ResourceNotFoundException{}, denied} {
		for _, warm := range []bool{false, true} {
			s := openSafe()
			s.missing = missing
			s.put("alice", admin.Operator, secretOf("a"))
			for n := range 60 {
				if warm {
					s.check(t, "alice:"+secretOf("a"))
				}
				_, exists, one := s.check(t, fmt.Sprintf("alice:%032d", n))
				_, absent, other := s.check(t, fmt.Sprintf("bobby:%032d", n))
				if exists || absent {
					t.Fatal("a guess was right")
				}
				if one != other {
					t.Fatalf("warm %t, guess %d: %d calls for the name that exists, %d for the other", warm, n, one, other)
				}
				s.now = s.now.Add(666 * time.Millisecond)
			}
		}
	}
}

// However many names are guessed, they cost 32 calls at first and one a second from then on. Guesses beyond
// that have to wait, whether or not the name exists; an admin whom the instance knows does not wait.
func TestGuessedNamesCostABoundedNumberOfCalls(t *testing.T) {
	s := openSafe()
	s.put("alice", admin.Operator, secretOf("a"))
	s.check(t, "alice:"+secretOf("a"))
	s.asked = nil
	locked := map[bool]int{}
	for n := range 10_000 { // a hundred seconds
		s.now = s.now.Add(10 * time.Millisecond)
		name, exists := fmt.Sprintf("guess%d", n), n%100 == 50
		if exists {
			name = "alice"
		}
		_, ok, err := s.Check(t.Context(), name+":"+secretOf("x"))
		if ok || err != nil && !errors.Is(err, session.ErrLocked) {
			t.Fatalf("%s: %t, %v", name, ok, err)
		}
		if err != nil {
			locked[exists]++
		}
		if _, ok, err := s.Check(t.Context(), "alice:"+secretOf("a")); !ok || err != nil {
			t.Fatalf("alice in the flood: %t, %v", ok, err)
		}
	}
	if len(s.asked) > 32+100+2 {
		t.Errorf("%d calls in 100 seconds", len(s.asked))
	}
	if locked[true] == 0 || locked[false] == 0 {
		t.Errorf("told to wait: %v", locked)
	}
	s.now = s.now.Add(2 * time.Second)
	s.put("carol", admin.Viewer, secretOf("c"))
	if _, ok, _ := s.check(t, "carol:"+secretOf("c")); !ok {
		t.Error("an admin whom the instance does not know is kept out after the flood")
	}
}

// Guessed names do not displace those that exist.
func TestThirtyTwoAdminsAreRemembered(t *testing.T) {
	s := openSafe()
	names := []string{}
	for n := range admin.Most {
		names = append(names, fmt.Sprintf("admin%d", n))
		s.put(names[n], admin.Viewer, secretOf(names[n]))
		s.now = s.now.Add(time.Second)
		s.check(t, names[n]+":"+secretOf(names[n]))
	}
	for n := range 100 {
		s.now = s.now.Add(100 * time.Millisecond)
		_, _, _ = s.Check(t.Context(), fmt.Sprintf("guess%d:%s", n, secretOf("x")))
	}
	s.asked = nil
	for _, name := range names {
		if _, ok, _ := s.check(t, name+":"+secretOf(name)); !ok {
			t.Errorf("%s is not accepted", name)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("read again: %v", s.asked)
	}
}

// A store that fails lets no admin in, and is asked once a second.
func TestNamedSecretsThatCannotBeRead(t *testing.T) {
	s := openSafe()
	s.put("alice", admin.Operator, secretOf("a"))
	s.err = errors.New("throttled")
	for range 100 {
		if _, ok, err := s.Check(t.Context(), "alice:"+secretOf("a")); ok || !errors.Is(err, secrets.ErrSecrets) {
			t.Fatalf("%t, %v", ok, err)
		}
		s.now = s.now.Add(10 * time.Millisecond)
	}
	if len(s.asked) != 1 {
		t.Errorf("%d calls in a second", len(s.asked))
	}
	s.err, s.now = nil, s.now.Add(time.Second)
	if _, ok, _ := s.check(t, "alice:"+secretOf("a")); !ok {
		t.Error("not accepted afterwards")
	}
}

// The log says why an entry admits no admin, and quotes no secret.
func TestAnUnusableEntryIsLogged(t *testing.T) {
	s := openSafe()
	s.values["alice"] = `{"secret":"` + secretOf("a") + `","role":"root"}`
	if _, ok, _ := s.check(t, "alice:"+secretOf("a")); ok {
		t.Error("accepted")
	}
	if log := s.log.String(); !strings.Contains(log, `"name":"alice"`) || !strings.Contains(log, "role") ||
		strings.Contains(log, secretOf("a")) {
		t.Errorf("log: %s", log)
	}
	if !slices.Equal(s.asked, []string{"alice"}) {
		t.Errorf("asked for %v", s.asked)
	}
}
