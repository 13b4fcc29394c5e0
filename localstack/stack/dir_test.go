package stack_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/stack"
)

// refusedDir starts a stack on a folder that it must not take.
func refusedDir(t *testing.T, dir string) error {
	t.Helper()
	s, err := stack.Start(t.Context(), stack.Config{Dir: dir, Cache: cache, Functions: functions, Addr: "127.0.0.1:0"})
	if err == nil {
		s.Close()
		t.Fatalf("a stack runs on %s", dir)
	}
	return err
}

// A folder that is not whole, or not one, is refused by the name of what is wrong and with the remedy. None becomes a
// new organisation; put right, it goes on.
func TestStateThatDoesNotHoldTogether(t *testing.T) {
	long(t)
	dir, other := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "other")
	s := start(t, stack.Config{Dir: dir})
	a := enrol(t, s, "kyc")
	stop(t, s)
	stop(t, start(t, stack.Config{Dir: other}))

	for name, tt := range map[string]struct {
		damage func(t *testing.T, dir string)
		says   []string
		form   bool // ErrDirForeign
	}{
		"the database's file is gone":   {remove("dynamodb/*.db"), []string{"dynamodb"}, true},
		"the database's folder is gone": {remove("dynamodb"), []string{"dynamodb"}, true},
		"the objects are gone":          {remove("s3"), []string{"s3"}, true},
		"the journal is gone":           {remove("s3/s3.journal"), []string{"s3"}, true},
		"the secrets are gone":          {remove("secrets"), []string{"secrets"}, true},
		"the keys are gone":             {remove("kms/keys/*"), []string{"kms", "is missing"}, false},
		"the KMS is gone":               {remove("kms"), []string{"kms"}, true},
		"the domain is gone":            {remove("apigateway"), []string{"apigateway"}, true},
		"the stamp is gone":             {remove("stamp.json"), []string{"older version"}, true},
		"of the version before": {write("stamp.json", `{"id":"A","version":3}`),
			[]string{"version 3, this is version 4"}, true},
		"of another version":      {write("stamp.json", `{"id":"A","version":99}`), []string{"version 99"}, true},
		"a part of another state": {from(other, "s3"), []string{"s3", "another state"}, true},
		"the database's file of another": {from(other, "dynamodb/shared-local-instance.db"),
			[]string{"dynamodb", "another state"}, true},
		"half of the database":               {halve("dynamodb/shared-local-instance.db"), []string{"dynamodb"}, false},
		"half of a key":                      {halve("kms/keys/*.json"), []string{"kms", "key file"}, false},
		"a journal of something else":        {write("s3/s3.journal", "{}\n"), []string{"s3.journal"}, false},
		"secrets of something else":          {write("secrets/secrets.json", "{"), []string{"secrets.json"}, false},
		"a domain's state of something else": {write("apigateway/domain.json", "["), []string{"domain.json"}, false},
		"a folder of something else entirely": {func(t *testing.T,
			dir string) {
			remove("*")(t, dir)
			write("notes.txt", "mine")(t, dir)
		}, []string{"notes.txt"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			broken := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(broken, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, broken)
			err := refusedDir(t, broken)
			if errors.Is(err, stack.ErrDirForeign) != tt.form {
				t.Errorf("%v: ErrDirForeign is %v, want %v", err, !tt.form, tt.form)
			}
			for _, word := range append(tt.says, "restore the whole folder "+broken, "new folder (DATA=") {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("no %q in: %v", word, err)
				}
			}
			if strings.Contains(err.Error(), "start anew") {
				t.Errorf("the advice loses what the others hold: %v", err)
			}
		})
	}
	again := start(t, stack.Config{Dir: dir})
	token(t, again, a).want(t, "token of the whole folder", 200)
}

func stop(t *testing.T, s *stack.Stack) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func each(t *testing.T, dir, pattern string, do func(path string) error) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files (%v)", pattern, len(paths), err)
	}
	for _, p := range paths {
		if err := do(p); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(pattern string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { each(t, dir, pattern, os.RemoveAll) }
}

func halve(pattern string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		each(t, dir, pattern, func(p string) error {
			info, err := os.Stat(p)
			if err != nil {
				return err
			}
			return os.Truncate(p, info.Size()/2)
		})
	}
}

func write(name, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// from replaces a file or folder by that of another state.
func from(other, name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		remove(name)(t, dir)
		info, err := os.Stat(filepath.Join(other, name))
		if err == nil && info.IsDir() {
			err = os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(other, name)))
		} else if err == nil {
			var b []byte
			b, err = os.ReadFile(filepath.Join(other, name))
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that fills ends the stack with its reason while everything that was acknowledged is still whole; one that is
// full already starts none.
func TestDiskFull(t *testing.T) {
	long(t)
	var free atomic.Uint64
	free.Store(10 << 20)
	space := func(string) (uint64, error) { return free.Load(), nil }
	dir := filepath.Join(t.TempDir(), "data")
	_, err := stack.Start(t.Context(), stack.Config{
		Dir:       dir,
		Cache:     cache,
		Functions: functions,
		Addr:      "127.0.0.1:0",
		Space:     space,
	})
	if !errors.Is(err, stack.ErrDiskFull) || !strings.Contains(err.Error(), "10 MB") ||
		!strings.Contains(err.Error(), dir) {
		t.Errorf("a start on a full disk: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dynamodb")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it left something behind: %v", err)
	}
	free.Store(1 << 30)
	s := start(t, stack.Config{Dir: dir, Space: space})
	a := enrol(t, s, "kyc")
	free.Store(20 << 20)
	select {
	case <-s.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the stack goes on on a full disk")
	}
	if err := s.Cause(); !errors.Is(err, stack.ErrDiskFull) || strings.Contains(err.Error(), "\n") {
		t.Errorf("cause: %v, want one line of ErrDiskFull", err)
	}
	res, err := client(t, s, "", "").Get(s.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a request after it: %d, want 503", res.StatusCode)
	}
	stop(t, s)
	free.Store(1 << 30)
	token(t, start(t, stack.Config{Dir: dir, Space: space}), a).want(t, "token after space came back", 200)
}

// A client reaches the gateway on both addresses of localhost, and offers http/1.0 alone if it likes.
func TestBothLoopbacks(t *testing.T) {
	long(t)
	s := start(t, stack.Config{})
	port := s.URL[strings.LastIndex(s.URL, ":")+1:]
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		for _, proto := range []string{"http/1.0", "http/1.1", "h2"} {
			cfg := client(t, s, "", "").Transport.(*http.Transport).TLSClientConfig.Clone()
			cfg.NextProtos = []string{proto}
			c, err := tls.Dial("tcp", host+":"+port, cfg)
			if err != nil {
				if host == "[::1]" && strings.Contains(err.Error(), "assign requested address") {
					t.Skip("this machine has no ::1")
				}
				t.Errorf("%s %s: %v", host, proto, err)
				continue
			}
			if got := c.ConnectionState().NegotiatedProtocol; got != proto {
				t.Errorf("%s: %q was negotiated, want %q", host, got, proto)
			}
			c.Close()
		}
	}
	_, err := stack.Start(t.Context(), stack.Config{Cache: cache, Functions: functions, Addr: "127.0.0.1:" + port})
	if !errors.Is(err, stack.ErrPortInUse) {
		t.Errorf("a second stack on the port: %v", err)
	}
}
