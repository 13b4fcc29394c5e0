package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/mastio-aws/mastio/localstack/fleet"
	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/test/awsmodel"
	"github.com/mastio-aws/mastio/test/local"
	"github.com/mastio-aws/mastio/test/permissions"
)

// root is the project's folder, seen from here.
const root = "../.."

var (
	screens  = filepath.Join(root, "build", "screens")
	chromium string
	checkers Checkers
	models   awsmodel.Recorder
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := ready(ctx); err != nil {
		if os.Getenv("CI") == "" {
			fmt.Println("skipping the browser tests:", err)
			return 0
		}
		fmt.Println(err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		code = models.Report(context.Background(), os.Stdout)
	}
	return code
}

func ready(ctx context.Context) (err error) {
	if err := machine.CheckTools(ctx); err != nil {
		return err
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		return fmt.Errorf("chromium is missing (Debian, Ubuntu: sudo apt-get install chromium)")
	}
	if checkers, err = Install(ctx, filepath.Join(root, "build", "browser")); err != nil {
		return err
	}
	return os.MkdirAll(screens, 0o755)
}

// system is a running Mastio.
type system struct {
	*stack.Stack
	log *output
}

// start runs a Mastio of a test's own; agents is how large a fleet it has, 0: none.
func start(t *testing.T, agents int) *system {
	t.Helper()
	s := &system{log: &output{}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	watch, err := permissions.New()
	if err != nil {
		t.Fatal(err)
	}
	cfg := stack.Config{Log: s.log}
	if agents < 1000 { // with many, the pages' time is measured, and it stands in the way of the database
		cfg.Wrap = func(service string, h http.Handler) http.Handler { return models.Wrap(service, watch.Wrap(service, h)) }
	}
	if s.Stack, err = local.Start(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		refused, _ := watch.Check()
		for _, r := range refused {
			t.Error(r)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.log.errors())
		}
	})
	if agents > 0 {
		if err := fleet.Fill(ctx, fleet.Config{
			URL:    s.URL,
			CAPEM:  s.CAPEM,
			Secret: s.AdminSecret,
			Agents: agents,
		}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// output keeps what functions print.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write keeps a line.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) errors() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var bad strings.Builder
	for line := range strings.Lines(o.text.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
			bad.WriteString(line)
		}
	}
	return bad.String()
}

// launch starts a browser; what its pages complain of fails the test.
func launch(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("ignore-certificate-errors", true), // the stack's CA is of the day
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-sync", true), chromedp.NoFirstRun, chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// tab is a browser with cookies of its own.
type tab struct {
	ctx context.Context
	t   *testing.T
	s   *system

	pages int // that were looked at

	mu       sync.Mutex
	document network.RequestID // of the page that is open
}

func (s *system) tab(browser context.Context, t *testing.T) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	t.Cleanup(cancel)
	b := &tab{ctx: ctx, t: t, s: s}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	return b
}

// heard fails the test for whatever the browser complains of: a script that throws, a policy that is broken. That a
// page is a refusal is no mistake of the page's.
func (b *tab) heard(event any) {
	switch e := event.(type) {
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			b.mu.Lock()
			b.document = e.RequestID
			b.mu.Unlock()
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "status of 4") {
			b.t.Errorf("the browser complains: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		b.t.Errorf("a script threw: %s", e.ExceptionDetails.Text)
	}
}

func call[P, R any](b *tab, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	got, err := chromedp.Call(b.ctx, cmd, params)
	if err != nil {
		b.t.Fatalf("%s: %v", cmd.Method, err)
	}
	return got
}

func get[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.t.Fatalf("%v; the page says: %.500s", err, b.text())
	}
	return got
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v; the page says: %.500s", err, b.text())
	}
}

// text is what the page says.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	text, err := chromedp.Run(ctx,
		chromedp.Evaluate[string](`document.querySelector('main')?.innerText ?? document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(text), " ")
}

func (b *tab) says(want ...string) {
	b.t.Helper()
	text := b.text()
	for _, w := range want {
		if !strings.Contains(text, w) {
			b.t.Errorf("the page does not say %q: %.600s", w, text)
		}
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.s.URL+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// press follows a link or sends a form, and waits for the page that comes.
func (b *tab) press(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("press %s: %v; the page says: %.500s", selector, err, b.text())
	}
	b.do(chromedp.WaitReady(chromedp.CSS("main")))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) path() string {
	b.t.Helper()
	return get(b, chromedp.Evaluate[string](`location.pathname + location.search`))
}

func (b *tab) signIn() {
	b.t.Helper()
	b.open("/proxy")
	b.fill("#secret", b.s.AdminSecret)
	b.press("form button.primary")
	b.says("Overview")
}
