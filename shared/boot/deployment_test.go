package boot_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A first deployment that fails takes the functions' logs with it: the cause is in the errors of the two functions that
// a deployment runs, which CloudFormation shows.
func TestADeploymentFailsWithTheCause(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	denied := errors.New("AccessDeniedException: no identity-based policy allows the kms:CreateKey action")
	m.Keys.Fault = func(op string, _ bool) error {
		if op == "Create" {
			return denied
		}
		return nil
	}
	first, err := boot.Standby(m.Parts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.(func(context.Context) (standby.Report, error))(t.Context())
	if err == nil || !strings.Contains(err.Error(), denied.Error()) {
		t.Errorf("the first Org CA fails with %v, want its cause: %v", err, denied)
	}
	check, err := boot.Startup(m.Parts)
	if err != nil {
		t.Fatal(err)
	}
	err = check.(func(context.Context) error)(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Org CA") {
		t.Errorf("the start-up check says %v, want that there is no Org CA", err)
	}
}
