package clients

import (
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/test/python"
)

//go:embed python/requirements.txt
var pythonPackages []byte

// unreadable is the warning that openapi-python-client may print: of an upload's body it takes the form alone, not
// the variants with one PEM file.
const unreadable = "WARNING parsing POST /pki/rotate-ca within org_ca."

func TestPythonClient(t *testing.T) {
	heavy(t)
	dir := workshop(t, "python")
	program, err := python.Packages{Name: filepath.Join("clients", "python"), Requirements: pythonPackages}.
		Install(t.Context())
	if errors.Is(err, python.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	place(t, dir, "python/generator.yaml", "python/flow.py", "python/examples.py")
	if err := os.RemoveAll(filepath.Join(dir, "mastio_client")); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Dir(program)
	path := []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH")} // the generator runs ruff
	printed := command(t, dir, path, filepath.Join(bin, "openapi-python-client"), "generate", "--path", document(t, dir),
		"--output-path", "mastio_client", "--meta", "none", "--config", "generator.yaml")
	for _, line := range strings.Split(printed, "\n") {
		if strings.Contains(line, "WARNING") && strings.TrimSpace(line) != unreadable || strings.Contains(line, "Unable") ||
			strings.Contains(line, "will not be generated") {
			t.Errorf("the generator says: %s", line)
		}
	}
	// What the generator writes of its own accord, in client.py, does not please mypy.
	command(t, dir, nil, program, "-m", "mypy", "--strict", "--follow-imports=silent", "flow.py")
	command(t, dir, nil, program, "-m", "mypy", "--exclude", "/client\\.py$", "--follow-imports=silent",
		"mastio_client/api", "mastio_client/models")
	read(t, command(t, dir, nil, program, "examples.py", "openapi.json"), 450)
	guided(t, command(t, dir, mastio(t), program, "flow.py"))
}
