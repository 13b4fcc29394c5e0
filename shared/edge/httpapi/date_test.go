package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// dateAnswer is what answers say of a rotation with a date.
type dateAnswer struct {
	Scheduled *struct {
		At          time.Time `json:"at"`
		Fingerprint string    `json:"fingerprint"`
		By          string    `json:"by"`
		Status      string    `json:"status"`
		Overlap     int64     `json:"overlap_seconds"`
	} `json:"scheduled"`
}

func TestARotationIsScheduled(t *testing.T) {
	w := open(t, memstore.Config{})
	// an offset is as good as Z
	at := w.Now().Add(26 * time.Hour).In(time.FixedZone("", 3600)).Format(time.RFC3339)
	mint := event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("at", at), query("overlap", "3600"))
	for n, e := range []int{http.StatusAccepted, http.StatusAccepted} {
		a := w.send(t, mint)
		var got dateAnswer
		if err := json.Unmarshal(a.body, &got); a.status != e || err != nil || got.Scheduled == nil ||
			got.Scheduled.At.Format(time.RFC3339) != w.Now().Add(26*time.Hour).Format(time.RFC3339) ||
			got.Scheduled.Status != "scheduled" || got.Scheduled.Overlap != 3600 || len(got.Scheduled.Fingerprint) != 64 ||
			got.Scheduled.By == "" {
			t.Errorf("request %d: status %d, %v: %s", n, a.status, err, a.body)
		}
	}
	var present dateAnswer
	status := w.send(t, event("GET", "/pki/rotate-ca", admin))
	if err := json.Unmarshal(status.body, &present); err != nil || present.Scheduled == nil {
		t.Errorf("%v: %s", err, status.body)
	}
	conflict := func(code string, e events.APIGatewayProxyRequest) {
		if a := w.send(t, e); a.status != http.StatusConflict || !strings.Contains(string(a.body), `"code":"`+code+`"`) {
			t.Errorf("status %d, want %s: %s", a.status, code, a.body)
		}
	}
	conflict("already_scheduled", event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("at", at)))
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "cancel"))); a.status != http.StatusOK {
		t.Errorf("cancel: status %d: %s", a.status, a.body)
	}
	conflict("not_scheduled", event("POST", "/pki/rotate-ca", admin, query("mode", "cancel")))
}

func TestDatesThatAreNone(t *testing.T) {
	w := open(t, memstore.Config{})
	at := w.Now().Add(time.Hour)
	for name, word := range map[string]string{
		"empty": "", "a day": at.Format(time.DateOnly), "no zone": at.Format("2006-01-02T15:04:05"),
		"seconds": "3600", "a name": "tomorrow", "the zero instant": "0001-01-01T00:00:00Z",
		"in the past": "2020-01-15T02:00:00Z",
		"too far":     at.AddDate(1, 0, 0).Format(time.RFC3339),
	} {
		w.refuse(t, "", refusal{name, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("at", word)), 400,
			"at_invalid"})
	}
	for _, mode := range []string{"upload", "stage", "rollback", "finalise", "cancel"} {
		w.refuse(t, "", refusal{mode, event("POST", "/pki/rotate-ca", admin, query("mode", mode),
			query("at", at.Format(time.RFC3339))), 400, "query_invalid"})
	}
	w.refuse(t, "", refusal{"after a compromise", event("POST", "/pki/rotate-ca", admin, query("mode", "mint"),
		query("at", at.Format(time.RFC3339)), query("reason", "keyCompromise")), 400, "at_invalid"})
}
