package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// A holder of a revoked certificate could wait for the moment at which the certificate counts again, if /healthz
// showed it to every caller.
func TestHealthzNamesSomeWarningsToOperatorsOnly(t *testing.T) {
	w := open(t, memstore.Config{})
	sealed := registry.LastCheckpoint{SetBack: 7}
	if err := w.Store.Apply(t.Context(), registry.Change{ID: w.NewID(), Checkpoint: &sealed}); err != nil {
		t.Fatal(err)
	}
	type healthAnswer struct {
		Warnings []string `json:"warnings"`
	}
	for name, c := range map[string]struct {
		options []edit
		want    healthAnswer
	}{
		"anonymous": {nil, healthAnswer{[]string{}}},
		"operator":  {[]edit{admin}, healthAnswer{[]string{"audit_set_back"}}},
	} {
		var got healthAnswer
		w.send(t, event("GET", "/healthz", c.options...)).into(t, http.StatusOK, &got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	w.refuse(t, "/healthz", refusal{"a wrong secret", event("GET", "/healthz", header("X-Admin-Secret", "wrong")),
		http.StatusForbidden, "admin_secret_invalid"})
}
