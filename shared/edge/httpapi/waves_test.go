package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

type reissueState struct {
	Reissue *struct {
		State       string `json:"state"`
		From        int64  `json:"from"`
		Waves       []int  `json:"waves"`
		Wave        int    `json:"wave"`
		HoldSeconds int64  `json:"hold_seconds"`
		OnHalt      string `json:"on_halt"`
	} `json:"reissue"`
	Generation int64 `json:"generation"`
}

// step takes a step of the re-issue, and returns what the answer and GET say of it, which is the same.
func (w *world) step(t *testing.T, action string) (s reissueState) {
	t.Helper()
	a := w.send(t, event("POST", "/pki/rotate-ca/reissue", admin, jsonBody(`{"action":"`+action+`"}`)))
	if a.status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", action, a.status, a.body)
	}
	status := w.send(t, event("GET", "/pki/rotate-ca", admin))
	if err := json.Unmarshal(status.body, &s); err != nil || s.Reissue == nil {
		t.Fatalf("after %s: %v, %s", action, err, status.body)
	}
	return s
}

func TestWavesAreSteered(t *testing.T) {
	w := open(t, memstore.Config{})
	refuse := func(name, action string, status int, code string) { // what is refused under the lease moves its fence
		t.Helper()
		a := w.send(t, event("POST", "/pki/rotate-ca/reissue", admin, jsonBody(action)))
		if a.status != status || !strings.Contains(string(a.body), `"code":"`+code+`"`) {
			t.Errorf("%s: status %d, want %d and %s: %s", name, a.status, status, code, a.body)
		}
	}
	refuse("before any rotation", `{"action":"pause"}`, 409, "reissue_not_running")
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("overlap", "86400"),
		query("waves", "5,100"), query("hold", "60"), query("on_halt", "rollback"))); a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	refuse("resume what runs", `{"action":"resume"}`, 409, "reissue_not_running")
	if s := w.step(t, "pause"); s.Reissue.State != "paused" || s.Reissue.Wave != 1 || len(s.Reissue.Waves) != 2 ||
		s.Reissue.HoldSeconds != 60 || s.Reissue.OnHalt != "rollback" || s.Reissue.From != 1 {
		t.Errorf("paused: %+v", *s.Reissue)
	}
	refuse("pause what is paused", `{"action":"pause"}`, 409, "reissue_not_running")
	if s := w.step(t, "resume"); s.Reissue.State != "running" {
		t.Errorf("resumed: %+v", *s.Reissue)
	}
	if s := w.step(t, "skip_wave"); s.Reissue.State != "running" || s.Reissue.Wave != 2 {
		t.Errorf("skipped: %+v", *s.Reissue)
	}
	refuse("skip the last wave", `{"action":"skip_wave"}`, 409, "wave_is_last")
	for _, body := range []string{`{}`, `{"action":""}`, `{"action":"PAUSE"}`, `{"action":"reissue_pause"}`,
		`{"action":"finalise"}`} {
		refuse(body, body, 400, "action_unknown")
	}
	w.refuse(t, "", refusal{"as a mode", event("POST", "/pki/rotate-ca", admin, query("mode", "reissue_pause")), 400,
		"mode_unknown"})
	if s := w.step(t, "rollback"); s.Generation != 1 || s.Reissue.From != 2 || s.Reissue.State != "running" {
		t.Errorf("rolled back: %+v of generation %d", *s.Reissue, s.Generation)
	}
	refuse("back again", `{"action":"rollback"}`, 409, "rollback_not_possible")
	rows, err := w.Store.Rows(t.Context(), inmemory.OrgID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []audit.Event
	for _, r := range rows {
		if r.Actor == "admin:1" || r.EventType == audit.ReissuePaused || r.EventType == audit.ReissueResumed ||
			r.EventType == audit.RotationWave || r.EventType == audit.OrgCARolledBack {
			got = append(got, r.EventType)
		}
	}
	want := []audit.Event{audit.ReissuePaused, audit.ReissueResumed, audit.RotationWave, audit.OrgCARolledBack}
	if n := len(got); n < 4 || got[n-4] != want[0] || got[n-3] != want[1] || got[n-2] != want[2] || got[n-1] != want[3] {
		t.Errorf("rows %v, want %v at the end", got, want)
	}
}

func TestParametersOfWaves(t *testing.T) {
	w := open(t, memstore.Config{})
	for name, c := range map[string]struct {
		edits []edit
		code  string
	}{
		"not rising":           {[]edit{query("overlap", "86400"), query("waves", "10,1,100")}, "waves_invalid"},
		"not to 100":           {[]edit{query("overlap", "86400"), query("waves", "1,10")}, "waves_invalid"},
		"not numbers":          {[]edit{query("overlap", "86400"), query("waves", "1%,100%")}, "waves_invalid"},
		"blanks":               {[]edit{query("overlap", "86400"), query("waves", "1, 100")}, "waves_invalid"},
		"a percent beyond":     {[]edit{query("overlap", "86400"), query("waves", "1,300")}, "waves_invalid"},
		"without an overlap":   {[]edit{query("waves", "1,100")}, "waves_invalid"},
		"longer than overlap":  {[]edit{query("overlap", "600"), query("waves", "1,10,100")}, "waves_invalid"},
		"hold without overlap": {[]edit{query("hold", "60")}, "waves_invalid"},
		"negative hold":        {[]edit{query("overlap", "86400"), query("hold", "-1")}, "hold_invalid"},
		"hold too long":        {[]edit{query("overlap", "864000"), query("hold", "86401")}, "hold_invalid"},
		"another on_halt":      {[]edit{query("overlap", "86400"), query("on_halt", "Rollback")}, "on_halt_invalid"},
		"no on_halt":           {[]edit{query("overlap", "86400"), query("on_halt", "")}, "on_halt_invalid"},
		"a compromise": {[]edit{query("overlap", "86400"), query("on_halt", "rollback"), query("reason", "keyCompromise")},
			"overlap_invalid"},
	} {
		w.refuse(t, "", refusal{name,
			event("POST", "/pki/rotate-ca", append([]edit{admin, query("mode", "mint")}, c.edits...)...), 400, c.code})
	}
	a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("overlap", "86400"),
		query("waves", "")))
	var s reissueState
	if err := json.Unmarshal(w.send(t, event("GET", "/pki/rotate-ca", admin)).body, &s); a.status != 200 || err != nil {
		t.Fatalf("status %d, %v: %s", a.status, err, a.body)
	}
	if r := s.Reissue; r == nil || len(r.Waves) != 3 || r.Waves[0] != 1 || r.HoldSeconds != 600 || r.OnHalt != "hold" {
		t.Errorf("the usual waves are %+v", r)
	}
}
