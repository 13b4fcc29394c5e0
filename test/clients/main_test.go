// Package clients generates clients out of the OpenAPI document, in Python, Go and TypeScript, with pinned generators.
// Each has to compile, to run the operator's guide against a Mastio in memory behind the local gateway, and to read
// every answer that the document shows: a client that cannot read an answer fails after the Mastio has acted.
package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/local"
)

// guide is what the flow prints, whatever the language of the client.
const guide = `health: ok orga generation 1
enrolled: orga::kyc-screener private key True
enrolled again: 409 agent_already_enrolled
token: 200 Bearer kyc:read
rotated: orga::kyc-screener replaces True
token, old certificate: 401 invalid_client
token, new certificate: 200 Bearer kyc:read
listed: orga::kyc-screener minted active
owner: team-kyc@example.com
hygiene: secretsmanager
a job would re-issue: 1
foreign certificate: 400 cert_pem_invalid
staged: staged
committed: True generation 2
the fleet: 1 of 1 remain
token in the overlap: 200 Bearer kyc:read
audit rows: True rotation True
deactivated: 204
token, deactivated: 401 invalid_client
status: deactivated
`

// heavy skips a test where only short ones are wanted.
func heavy(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("fetches generators and compiles what they generate: minutes")
	}
}

// workshop is a folder below build that holds what was installed and generated for one language. Processes take turns.
func workshop(t *testing.T, language string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "build", "clients", language))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := machine.Lock(t.Context(), filepath.Join(dir, "workshop.lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unlock() })
	return dir
}

// document writes the OpenAPI document and returns its path.
func document(t *testing.T, dir string) string {
	t.Helper()
	text, err := routes.Document()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "openapi.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// place copies files of this package into a workshop.
func place(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// command runs a program in a folder and returns what it printed. It must succeed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// guided holds the lines of a flow to the guide.
func guided(t *testing.T, printed string) {
	t.Helper()
	t.Logf("\n%s", printed)
	if diff := cmp.Diff(guide, printed); diff != "" {
		t.Errorf("the flow (-want +got):\n%s", diff)
	}
}

// read holds a client to have read every answer that it can: at least so many.
func read(t *testing.T, printed string, most int) {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(printed, "answers read: %d", &n); err != nil || n < most {
		t.Errorf("%q, want at least %d answers", printed, most)
	}
	t.Log(printed)
}

// mastio starts a Mastio in memory behind the local gateway, and returns the environment in which a flow reaches it.
func mastio(t *testing.T) []string {
	t.Helper()
	m := local.InMemory(t, func(core *inmemory.Mastio) {
		core.Advance(time.Until(core.Now()) * -1) // TLS knows no other clock
	})
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, m.CAPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"MASTIO_URL=" + m.URL, "MASTIO_CA=" + ca, "MASTIO_ADMIN_SECRET=" + inmemory.Secret, "FOLDER=" + dir}
}
