package warnings_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/warnings"
)

// An anonymous caller of /healthz learns none of these, and none that the table does not know.
func TestWithheld(t *testing.T) {
	var withheld []warnings.Warning
	for _, r := range warnings.All() {
		if r.Warning.Public() != r.Public {
			t.Errorf("%s: public %t, its row says %t", r.Warning, r.Warning.Public(), r.Public)
		}
		if !r.Warning.Public() {
			withheld = append(withheld, r.Warning)
		}
	}
	want := []warnings.Warning{
		warnings.PlanStale, warnings.ReissueHalted, warnings.ReissueLate,
		warnings.CredentialSuspect, warnings.RegistryRestored, warnings.AuditSetBack, warnings.AdminSecretShort,
	}
	if diff := cmp.Diff(want, withheld); diff != "" {
		t.Errorf("withheld from anonymous callers (-want +got):\n%s", diff)
	}
	if warnings.Warning("org_ca_unknown").Public() {
		t.Error("a code that no row declares is public")
	}
}

// The table is not changed through what All returns.
func TestTableIsNotChanged(t *testing.T) {
	warnings.All()[0].Public = false
	if !warnings.All()[0].Public {
		t.Error("a caller has changed the table")
	}
}
