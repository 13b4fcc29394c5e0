package settings_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/settings"
)

func environment(values map[string]string) settings.Environment {
	return func(name string) string { return values[name] }
}

func TestResolve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "profile.json")
	saved := settings.Profile{URL: "https://a.example", AgentsURL: "https://agents.a.example", CA: "a.pem", Secret: "of a"}
	if err := saved.Save(path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    settings.Options
		env  map[string]string
		want settings.Profile
	}{
		{"the profile", settings.Options{}, nil, saved},
		{"an option before the environment", settings.Options{CA: "o.pem"}, map[string]string{"MASTIO_CA": "e.pem"},
			settings.Profile{URL: saved.URL, AgentsURL: saved.AgentsURL, CA: "o.pem", Secret: "of a"}},
		{"another host gets no secret of the profile", settings.Options{},
			map[string]string{"MASTIO_URL": "https://b.example"},
			settings.Profile{URL: "https://b.example", CA: "a.pem"}},
		{"another host with its secret", settings.Options{URL: "https://b.example"},
			map[string]string{"MASTIO_ADMIN_SECRET": "of b"},
			settings.Profile{URL: "https://b.example", CA: "a.pem", Secret: "of b"}},
		{"the name of a secret", settings.Options{}, map[string]string{"MASTIO_ADMIN_SECRET_ID": "id"},
			settings.Profile{URL: saved.URL, AgentsURL: saved.AgentsURL, CA: "a.pem", SecretID: "id"}},
	} {
		c.o.Profile = path
		got, err := c.o.Resolve(environment(c.env))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestProfileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "profile.json")
	if err := (settings.Profile{URL: "https://a.example", Secret: "s"}).Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the profile has mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Read(path); err == nil {
		t.Error("a profile that others can read was accepted")
	}
}

func TestAdminSecret(t *testing.T) {
	vault := func(_ context.Context, id string) (string, error) { return "value of " + id + "\n", nil }
	if got, err := (settings.Profile{SecretID: "id"}).AdminSecret(t.Context(), vault); got != "value of id" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	entry := func(context.Context, string) (string, error) { return `{"secret": "s3cret", "role": "viewer"}`, nil }
	for id, want := range map[string]string{
		"mastio/admins/orga/alice": "alice:s3cret", "mastio/admins/orga/alice-abcdef": "alice-abcdef:s3cret",
		"arn:aws:secretsmanager:eu-central-1:111111111111:secret:mastio/admins/orga/alice-AbC123": "alice:s3cret",
	} {
		if got, err := (settings.Profile{SecretID: id}).AdminSecret(t.Context(), entry); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", id, got, err, want)
		}
	}
	if got, err := (settings.Profile{SecretID: "mastio/admins/orga/alice"}).AdminSecret(t.Context(), vault); err == nil ||
		strings.Contains(err.Error(), "value of") {
		t.Errorf("no entry: %q, %v", got, err)
	}
	if _, err := (settings.Profile{}).AdminSecret(t.Context(), vault); !errors.Is(err, settings.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
}
