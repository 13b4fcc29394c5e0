package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errCrash = errors.New("crash")

// crashing is a round that ends after n changes of the directory, as a crash would: nothing is done after it. It
// reports whether it came so far.
func (h *host) crashing(t *testing.T, n int) (step string, crashed bool) {
	t.Helper()
	f, err := openFolder(h.dir, h.now)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	f.step = func(name string) error {
		if n--; n < 0 {
			step, crashed = name, true
			return errCrash
		}
		return nil
	}
	if err := f.sweep(); err != nil {
		t.Fatal(err)
	}
	if err := h.update(t.Context(), f); crashed != errors.Is(err, errCrash) {
		t.Fatalf("crashed: %t, %v", crashed, err)
	}
	if !crashed {
		if err := h.announce(t.Context(), f); crashed != errors.Is(err, errCrash) {
			t.Fatalf("crashed: %t, %v", crashed, err)
		}
	}
	return step, crashed
}

// What a directory may hold before a delivery.
var before = map[string]func(*testing.T, *host) map[string]any{
	"nothing": func(*testing.T, *host) map[string]any { return nil },
	"an earlier delivery": func(t *testing.T, h *host) map[string]any {
		value := h.deliver(t, 0)
		h.want(t, done)
		return value
	},
	"files of an enrolment": func(t *testing.T, h *host) map[string]any {
		value := h.ca.issue(t, alice, 0)
		h.place(t, value)
		return value
	},
}

// place writes the files of an enrolment, as the guide does.
func (h *host) place(t *testing.T, value map[string]any) {
	t.Helper()
	m, err := open(encoded(t, value), noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range m.files {
		path := filepath.Join(h.dir, name)
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// After a crash at any step the plain names hold the old files or the new ones, and never a certificate with another
// key. The next round completes the work and leaves nothing of the crash.
func TestCrash(t *testing.T) {
	for name, prepare := range before {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				h := newHost(t)
				h.notify.command = []string{"true"}
				old := prepare(t, h)
				value := h.deliver(t, time.Hour)
				step, crashed := h.crashing(t, n)
				h.consistent(t, step, old, value)
				h.want(t, done)
				h.holds(t, value)
				if got := h.sets(t); got != 1 {
					h.want(t, done) // the set before stays for a minute of its own clock, and the fake one is far away
					if got := h.sets(t); got != 1 {
						t.Errorf("after a crash at %q: %d sets of files: %v", step, got, h.tree(t))
					}
				}
				if left, err := filepath.Glob(filepath.Join(h.dir, nextPrefix+"*")); err != nil || len(left) > 0 {
					t.Errorf("after a crash at %q: %v %v", step, left, err)
				}
				if !crashed {
					if n < 10 {
						t.Errorf("only %d steps", n)
					}
					return
				}
			}
		})
	}
}

// consistent checks what a reader of the plain names finds.
func (h *host) consistent(t *testing.T, step string, old, value map[string]any) {
	t.Helper()
	cert, err := os.ReadFile(filepath.Join(h.dir, certFile))
	key, keyErr := os.ReadFile(filepath.Join(h.dir, keyFile))
	if old == nil && (err != nil || keyErr != nil) {
		return // the first delivery is on its way
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Errorf("after a crash at %q: %v", step, err)
	}
	if got := string(cert); got != value["cert_pem"] && (old == nil || got != old["cert_pem"]) {
		t.Errorf("after a crash at %q the certificate is neither the old one nor the new one", step)
	}
}

// A reader that resolves the link first sees only certificates with their keys, however fast they change.
func TestReaderInALoop(t *testing.T) {
	h := newHost(t)
	h.now = time.Now
	values := make([]map[string]any, 8)
	for i := range values {
		values[i] = h.ca.issue(t, alice, time.Duration(i)*time.Second)
	}
	h.put(t, values[0], 0)
	h.want(t, done)
	var ended atomic.Bool
	read := make(chan error, 1)
	pairs, late := 0, 0
	go func() {
		seen := map[string]bool{}
		for last := false; !last; {
			last = ended.Load()
			set, err := filepath.EvalSymlinks(filepath.Join(h.dir, pointer))
			var pair tls.Certificate
			if err == nil {
				pair, err = tls.LoadX509KeyPair(filepath.Join(set, certFile), filepath.Join(set, keyFile))
			}
			switch {
			case os.IsNotExist(err): // two changes since the link was read
				late++
			case err != nil:
				read <- err
				return
			default:
				seen[pair.Leaf.NotBefore.String()] = true
				pairs++
			}
		}
		if len(seen) < 2 {
			read <- fmt.Errorf("the reader saw %d certificates, and came late %d times", len(seen), late)
		}
		close(read)
	}()
	for i := range 100 {
		h.put(t, values[i%len(values)], time.Duration(i+1)*time.Minute)
		h.want(t, done)
	}
	ended.Store(true)
	if err := <-read; err != nil {
		t.Error(err)
	}
	t.Logf("%d pairs read during 100 changes, %d times late", pairs, late)
}

// A reader that is between two files when the set changes still finds the second one.
func TestReaderBetweenTwoFiles(t *testing.T) {
	h := newHost(t)
	h.now = time.Now
	h.deliver(t, 0)
	h.want(t, done)
	set, err := filepath.EvalSymlinks(filepath.Join(h.dir, pointer))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(filepath.Join(set, certFile))
	if err != nil {
		t.Fatal(err)
	}
	value := h.deliver(t, time.Hour)
	h.want(t, done)
	h.want(t, done)
	key, err := os.ReadFile(filepath.Join(set, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
	h.holds(t, value)
	h.now = func() time.Time { return time.Now().Add(linger) }
	h.want(t, done)
	if _, err := os.Stat(set); !os.IsNotExist(err) {
		t.Errorf("the old keys are still there: %v", err)
	}
}

// An unchanged secret writes nothing, and its value is not asked for.
func TestUnchanged(t *testing.T) {
	h := newHost(t)
	h.deliver(t, 0)
	h.want(t, done)
	tree, reads := h.tree(t), h.reads
	for range 3 {
		h.want(t, done)
	}
	if diff := cmp.Diff(tree, h.tree(t)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if h.reads != reads || h.looks != 4 {
		t.Errorf("the value was read %d times more, in %d looks", h.reads-reads, h.looks)
	}
}

func TestModes(t *testing.T) {
	h := newHost(t)
	h.deliver(t, 0)
	h.want(t, done)
	want := map[string]string{".": "drwx------", pointer: "L", certFile: "L", keyFile: "L", proofFile: "L"}
	set, err := os.Readlink(filepath.Join(h.dir, pointer))
	if err != nil {
		t.Fatal(err)
	}
	want[set] = "drwx------"
	for _, name := range append([]string{recordFile}, fileNames...) {
		want[filepath.Join(set, name)] = "-rw-------"
	}
	got := map[string]string{}
	for name, text := range h.tree(t) {
		got[name] = text[:10]
		if text[0] == 'L' {
			got[name] = "L"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if names := slices.Sorted(maps.Keys(got)); len(names) != 10 {
		t.Errorf("%v", names)
	}
}

// Files and links that were changed by hand, or lost, come back.
func TestRepair(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, h *host){
		"a key is gone":         func(t *testing.T, h *host) { remove(t, h, keyFile) },
		"all names are gone":    func(t *testing.T, h *host) { remove(t, h, fileNames...) },
		"current is gone":       func(t *testing.T, h *host) { remove(t, h, pointer) },
		"the proof key is gone": func(t *testing.T, h *host) { remove(t, h, filepath.Join(pointer, proofFile)) },
		"the record is gone":    func(t *testing.T, h *host) { remove(t, h, filepath.Join(pointer, recordFile)) },
		"the key is another one": func(t *testing.T,
			h *host) {
			overwrite(t, h, keyFile, h.ca.issue(t, alice, 0)["key_pem"].(string))
		},
		"the key is cut off":    func(t *testing.T, h *host) { overwrite(t, h, keyFile, h.read(t, keyFile)[:50]) },
		"older files of a user": func(t *testing.T, h *host) { h.place(t, h.ca.issue(t, alice, -time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			value := h.deliver(t, 0)
			h.want(t, done)
			damage(t, h)
			h.want(t, done)
			h.holds(t, value)
			tree := h.tree(t)
			h.want(t, done)
			h.want(t, done)
			if len(h.tree(t)) > len(tree) || h.sets(t) != 1 {
				t.Errorf("it does not come to rest: %v", h.tree(t))
			}
		})
	}
}

func remove(t *testing.T, h *host, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(h.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func overwrite(t *testing.T, h *host, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A directory that others own or can write is refused, and nothing is put into it.
func TestUnsafeDirectory(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"the group can write": func(dir string) error { return os.Chmod(dir, 0o770) },
		"others can write":    func(dir string) error { return os.Chmod(dir, 0o702) },
		"it is another user's": func(dir string) error {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			return os.Chown(dir, 12345, -1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.deliver(t, 0)
			if err := os.Mkdir(h.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := spoil(h.dir); err != nil {
				t.Fatal(err)
			}
			h.want(t, unsafe)
			if got := h.follow(t.Context(), time.Hour); got != unsafe {
				t.Errorf("it goes on with status %d", got)
			}
			if left := h.tree(t); len(left) != 1 || h.looks > 0 {
				t.Errorf("%v, %d looks at the secret", left, h.looks)
			}
		})
	}
}

// One at a time works on a directory.
func TestTwoAtOnce(t *testing.T) {
	h := newHost(t)
	h.deliver(t, 0)
	f, err := openFolder(h.dir, h.now)
	if err != nil {
		t.Fatal(err)
	}
	h.want(t, failed)
	f.close()
	h.want(t, done)
}

// A directory that others may read becomes private.
func TestReadableDirectory(t *testing.T) {
	h := newHost(t)
	h.deliver(t, 0)
	if err := os.Mkdir(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.want(t, done)
	if got := h.tree(t)["."][:10]; got != "drwx------" {
		t.Error(got)
	}
}
