package clients

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGoClient(t *testing.T) {
	heavy(t)
	dir := workshop(t, "golang")
	place(t, dir, "golang/go.mod", "golang/go.sum", "golang/flow.go", "golang/examples.go")
	if err := os.MkdirAll(filepath.Join(dir, "mastio"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The module is one of its own: what the generator requires is no business of the product.
	env := []string{"GOFLAGS=-mod=mod -trimpath", "GOWORK=off"}
	command(t, dir, env, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "mastio",
		"-o", "mastio/mastio.gen.go", document(t, dir))
	command(t, dir, env, "go", "vet", "./...")
	command(t, dir, env, "go", "build", "-o", "flow", ".")
	read(t, command(t, dir, nil, "./flow", "openapi.json"), 450)
	guided(t, command(t, dir, mastio(t), "./flow"))
}
