package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTypeScriptClient(t *testing.T) {
	heavy(t)
	if _, err := exec.LookPath("npm"); err != nil && os.Getenv("CI") == "" {
		t.Skip("no npm: https://nodejs.org (Debian, Ubuntu: nodejs npm)")
	}
	dir := workshop(t, "typescript")
	place(t, dir, "typescript/package.json", "typescript/package-lock.json", "typescript/tsconfig.json",
		"typescript/flow.ts")
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	stamp := filepath.Join(dir, "stamp")
	if got, err := os.ReadFile(stamp); err != nil || !bytes.Equal(got, lock) {
		command(t, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
		if err := os.WriteFile(stamp, lock, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "node_modules", ".bin")
	path := document(t, dir)
	command(t, dir, nil, filepath.Join(bin, "openapi-typescript"), path, "-o", "schema.d.ts")
	text, count := typed(t, path)
	if err := os.WriteFile(filepath.Join(dir, "examples.ts"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, dir, nil, filepath.Join(bin, "tsc"), "--project", "tsconfig.json")
	read(t, fmt.Sprintf("answers read: %d", count), 450)
	guided(t, command(t, dir, mastio(t), "node", "out/flow.js"))
}

// typed writes every answer that the document shows as a constant of the type that the generated schema has for it:
// the compiler reads them.
func typed(t *testing.T, path string) (text string, count int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("import type { operations } from \"./schema.js\";\n")
	for _, route := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, o := range d.Paths[route] {
			for status, answer := range o.Responses {
				for media, c := range answer.Content {
					if c.Example == nil {
						continue
					}
					count++
					fmt.Fprintf(&b, "export const answer%d: operations[%q][\"responses\"][%s][\"content\"][%q] = %s;\n", count,
						o.OperationID, status, media, c.Example)
				}
			}
		}
	}
	return b.String(), count
}
