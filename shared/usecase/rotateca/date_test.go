package rotateca_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A member that is added to a request and forgotten by the plan would be lost until the date.
func TestAPlanCarriesTheWholeRequest(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	req := rotateca.Request{
		Mode:           rotateca.Mint,
		Overlap:        time.Hour,
		Moves:          orgca.Moves{Waves: orgca.DefaultWaves(), Hold: time.Minute, OnHalt: orgca.RollBackOnHalt},
		SkipBackup:     true,
		Reason:         "superseded",
		Comment:        "ticket 12",
		At:             m.Now().Add(time.Hour),
		IdempotencyKey: "key",
		By:             audit.By{Actor: "admin:v1", RequestID: "r", SourceIP: "192.0.2.1"},
	}
	// these do not go with a date, or are the plan's own
	others := []string{"Upload", "Fingerprint", "DryRun", "IfSafe", "Plan", "Migration"}
	for v, i := reflect.ValueOf(req), 0; i < v.NumField(); i++ {
		if f := v.Type().Field(i); v.Field(i).IsZero() && !slices.Contains(others, f.Name) {
			t.Errorf("the test's request leaves %s empty", f.Name)
		}
	}
	result, err := m.RotateCA.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rotateca.Planned(m.Org(t).Plan)
	if err != nil {
		t.Fatal(err)
	}
	want := req
	want.Mode, want.Fingerprint, want.Plan = rotateca.Commit, result.Fingerprint, 1
	want.At, want.By, want.IdempotencyKey = time.Time{}, audit.By{}, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the request that is carried out (-want +got):\n%s", diff)
	}
}

// What a later release has added to a request would be left out by this one.
func TestAPlanOfALaterReleaseIsNotCarriedOut(t *testing.T) {
	for _, request := range []string{`{"Mode":"mint","Later":true}`, ``, `[]`} {
		if _, err := rotateca.Planned(orgca.Plan{Request: []byte(request)}); err == nil {
			t.Errorf("%s was read", request)
		}
	}
}

func TestDatesThatAreRefused(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	hour := m.Now().Add(time.Hour)
	compromised := m.Do(t, rotateca.Request{Mode: rotateca.Stage, Reason: "keyCompromise"})
	for name, tt := range map[string]struct {
		req  rotateca.Request
		want error
	}{
		"in 59 s":          {rotateca.Request{Mode: rotateca.Mint, At: m.Now().Add(59 * time.Second)}, orgca.ErrAt},
		"in the past":      {rotateca.Request{Mode: rotateca.Mint, At: m.Now().Add(-time.Hour)}, orgca.ErrAt},
		"in 91 days":       {rotateca.Request{Mode: rotateca.Mint, At: m.Now().Add(91 * 24 * time.Hour)}, orgca.ErrAt},
		"rehearsed":        {rotateca.Request{Mode: rotateca.Mint, At: m.Now(), DryRun: true}, orgca.ErrAt},
		"stage":            {rotateca.Request{Mode: rotateca.Stage, At: hour}, orgca.ErrAt},
		"rollback":         {rotateca.Request{Mode: rotateca.Rollback, At: hour}, orgca.ErrAt},
		"finalise":         {rotateca.Request{Mode: rotateca.Finalise, At: hour}, orgca.ErrAt},
		"cancel":           {rotateca.Request{Mode: rotateca.Cancel, At: hour}, orgca.ErrAt},
		"for a compromise": {rotateca.Request{Mode: rotateca.Mint, At: hour, Reason: "KEYCOMPROMISE"}, orgca.ErrNotLater},
		"of a CA":          {rotateca.Request{Mode: rotateca.Mint, At: hour, Reason: "cACompromise"}, orgca.ErrNotLater},
		"withdrawn": {rotateca.Request{Mode: rotateca.Mint, At: hour, Reason: "privilegeWithdrawn"},
			orgca.ErrNotLater},
		"staged for one": {rotateca.Request{Mode: rotateca.Mint, At: hour}, orgca.ErrNotLater},
		"and committed": {rotateca.Request{Mode: rotateca.Commit, At: hour, Fingerprint: compromised.Fingerprint},
			orgca.ErrNotLater},
		"not staged": {rotateca.Request{Mode: rotateca.Commit, At: hour, Fingerprint: m.Org(t).Pointer.Fingerprint},
			rotateca.ErrNotStaged},
	} {
		tt.req.Actor = "test"
		if _, err := m.RotateCA.Do(t.Context(), tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if p := m.Org(t).Plan; p.Version != 0 {
		t.Errorf("a plan was made: %+v", p)
	}
}

// A request that is repeated under its key gets its answer, also when its date is too close by then for a new one.
func TestARepeatedDateIsAnswered(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	req := rotateca.Request{Mode: rotateca.Mint, At: m.Now().Add(time.Minute), IdempotencyKey: "k"}
	first := m.Do(t, req)
	m.Advance(30 * time.Second)
	again := m.Do(t, req)
	if !again.Replayed || again.HTTPStatus() != 202 || again.Scheduled.Fingerprint != first.Scheduled.Fingerprint {
		t.Errorf("repeated: %+v", again)
	}
}
