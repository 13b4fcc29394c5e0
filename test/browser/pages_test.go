package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// look is a way to look at a page.
type look struct {
	name          string
	width, height int64
	scale         float64
	dark, phone   bool
}

var looks = []look{
	{name: "light", width: 1360, height: 900, scale: 1},
	{name: "dark", width: 1360, height: 900, scale: 1, dark: true},
	{name: "phone", width: 390, height: 844, scale: 2, phone: true},
}

// threeLines is the most that a row of agents or of the audit trail takes on a phone, in pixels.
const threeLines = 92

// maxPage is the most octets of a page.
const maxPage = 100 << 10

// TestPages looks at every page with a fleet in the middle of a rotation: valid HTML, nothing that axe finds, no more
// than 100 KB, nothing that runs off a phone's screen. What it saw is in build/screens. With -short it looks at each
// page in one way, and at the next page in the next, and keeps no pictures.
func TestPages(t *testing.T) {
	agents := 240
	if testing.Short() {
		agents = 120 // still two pages of them
	}
	s := start(t, agents)
	b := s.tab(launch(t), t)
	html := t.TempDir()
	b.see(html, "login", "/proxy/login")
	b.see(html, "login-ended", "/proxy/login?ended=1")
	b.fill("#secret", "a guess")
	b.press("form button.primary")
	b.see(html, "login-wrong", "")
	b.signIn()
	for name, path := range map[string]string{
		"overview": "/proxy/overview", "agents": "/proxy/agents", "agents-found": "/proxy/agents?q=kyc",
		"agents-none": "/proxy/agents?q=nobody", "agents-due": "/proxy/agents?show=due-30",
		"agents-due-none": "/proxy/agents?show=due-0", "enrol": "/proxy/enrol", "agents-old": "/proxy/agents?show=old",
		"agents-silent": "/proxy/agents?show=silent", "agents-deactivated": "/proxy/agents?show=deactivated",
		"enrol-byoca": "/proxy/enrol?method=byoca", "enrol-spiffe": "/proxy/enrol?method=spiffe",
		"bulk": "/proxy/rotate?show=old", "bulk-selected": "/proxy/rotate?selected=1&id=orga::kyc-screener-eu",
		"bulk-none": "/proxy/rotate?selected=1", "agent-edit": "/proxy/agents/orga::kyc-screener-eu/edit",
		"no-page": "/proxy/nothing",
		"agent":   "/proxy/agents/orga::kyc-screener-eu", "agent-rotate": "/proxy/agents/orga::kyc-screener-eu/rotate-cert",
		"agent-deactivate": "/proxy/agents/orga::kyc-screener-eu/deactivate",
		"error":            "/proxy/agents/orga::nobody", "pki": "/proxy/pki", "rotate-ca": "/proxy/pki/rotate-ca",
		"rotation": "/proxy/pki/rotation", "rollback": "/proxy/pki/rollback", "finalise": "/proxy/pki/finalise",
	} {
		b.see(html, name, path)
	}
	b.open("/proxy/agents/orga::payments-router-us/rotate-cert")
	b.do(chromedp.SetValue(chromedp.CSS("#reason"), "keyCompromise"), chromedp.Click(chromedp.CSS("input[value='900']")))
	b.press("main button.primary")
	b.see(html, "agent-rotate-wrong", "")
	b.open("/proxy/agents/orga::payments-router-us/rotate-cert")
	b.press("main button.primary")
	b.see(html, "agent-rotated", "")
	if _, err := s.Lambda.Invoke(t.Context(), "checkpoint", []byte(`{"source":"aws.events"}`)); err != nil {
		t.Fatal(err)
	}
	b.see(html, "audit", "/proxy/audit?actor=schedule")
	b.see(html, "audit-events", "/proxy/audit?event_type=agent.cert_rotated")
	b.see(html, "audit-wrong", "/proxy/audit?start=2026-11-20&end=2026-11-01")
	b.open("/proxy/audit")
	b.press("form[action$=verify] button")
	b.see(html, "audit-verified", "")
	b.open("/proxy/audit")
	b.press("form[action$=bundle] button")
	b.says("Bundle for an auditor")
	b.lookAt("audit-bundle") // it holds the trail, and is as large as that
	b.open("/proxy/pki/rotate-ca")
	b.press("main form button.primary")
	b.see(html, "preflight", "")
	confirm := get(b, chromedp.Text(chromedp.CSS("label[for=confirm] code")))
	b.fill("#confirm", "00000000")
	b.press("main button.danger")
	b.see(html, "preflight-wrong", "")
	b.fill("#confirm", confirm)
	b.do(chromedp.Click(chromedp.CSS("input[value='604800']")))
	b.press("main button.danger")
	b.see(html, "result", "")
	s.abandonRotation(t)
	b.see(html, "overview-warned", "/proxy/overview")
	b.see(html, "pki-warned", "/proxy/pki")
	b.says("A rotation of the Org CA died", "rotation_lock_stuck")

	findings, err := checkers.Validate(t.Context(), html)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

// abandonRotation leaves what a rotation leaves that died ten minutes ago.
func (s *system) abandonRotation(t *testing.T) {
	t.Helper()
	store := dynamo.New(dynamo.Config{Client: s.Clients.DynamoDB, Prefix: s.TablePrefix()})
	then := time.Now().Add(-10 * time.Minute)
	if _, err := store.Acquire(t.Context(), orgca.Lease{
		Holder:    "nobody",
		Operation: "rotate-ca mint",
		Phase:     "swap",
		Expires:   then,
	}, then.Add(-orgca.LeaseTTL)); err != nil {
		t.Fatal(err)
	}
}

// The checkers find what they are there for, or else their silence would mean nothing.
func TestCheckersFindMistakes(t *testing.T) {
	if testing.Short() {
		t.Skip("the checkers are pinned: make check tries them out")
	}
	s, dir := start(t, 0), t.TempDir()
	bad := `<!DOCTYPE html><html lang="en"><title>x</title><main><p><div></p><input><img src="x"></main>`
	if err := os.WriteFile(filepath.Join(dir, "bad.html"), []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	findings, err := checkers.Validate(t.Context(), dir)
	if err != nil || len(findings) == 0 {
		t.Errorf("the HTML checker finds %v, %v", findings, err)
	}
	b := s.tab(launch(t), t)
	b.open("/proxy/login")
	b.do(chromedp.Evaluate[chromedp.Void](`{ const i = document.createElement('input'); document.querySelector('main').append(i); }`))
	if found := b.violations(); len(found) == 0 {
		t.Error("axe-core does not find a field without a label")
	}
}

// see checks the page at a path, or the one that is open, and keeps what it looked like.
func (b *tab) see(html, name, path string) {
	b.t.Helper()
	if path != "" {
		b.open(path)
	}
	source := b.source()
	if len(source) > maxPage {
		b.t.Errorf("%s has %d octets, want at most %d", name, len(source), maxPage)
	}
	if err := os.WriteFile(filepath.Join(html, name+".html"), []byte(source), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.lookAt(name)
}

// source is the page as it was sent, before any script touched it.
func (b *tab) source() string {
	b.t.Helper()
	b.mu.Lock()
	id := b.document
	b.mu.Unlock()
	return string(call(b, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id}).Body)
}

func (b *tab) lookAt(name string) {
	b.t.Helper()
	b.pages++
	for i, l := range looks {
		if !testing.Short() || i == b.pages%len(looks) {
			b.lookAs(name, l)
		}
	}
}

func (b *tab) lookAs(name string, l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width:             l.width,
		Height:            l.height,
		DeviceScaleFactor: l.scale,
		Mobile:            l.phone,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	wider := get(b,
		chromedp.Evaluate[float64](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	if l.phone {
		for _, row := range get(b,
			chromedp.Evaluate[[]string](fmt.Sprintf(`[...document.querySelectorAll('.agents tbody tr, .trail tbody tr')].filter(r => r.getBoundingClientRect().height > %d).map(r => r.innerText)`, threeLines))) {
			b.t.Errorf("%s: a row takes more than %v pixels of a phone's height: %q", name, threeLines, row)
		}
	}
	if wider > 0 {
		b.t.Errorf("%s, %s: %v pixels run off the screen", name, l.name, wider)
	}
	if !testing.Short() {
		b.keep(name + "-" + l.name)
	}
	for _, v := range b.violations() {
		b.t.Errorf("%s, %s: %s", name, l.name, v)
	}
}

// keep writes a picture of the page that is open.
func (b *tab) keep(name string) {
	b.t.Helper()
	picture := get(b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(screens, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
	if name == inReadme {
		keepForReadme(b.t, picture)
	}
}

// violations are what axe-core finds, its best practices included.
func (b *tab) violations() []string {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](checkers.Axe + `;undefined`))
	report := get(b,
		chromedp.Evaluate[string](`axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v =>
		({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + ' ' + n.failureSummary)}))))`, chromedp.EvalAwaitPromise))
	var found []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(report), &found); err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, v := range found {
		all = append(all, fmt.Sprintf("%s: %s: %.700s", v.ID, v.Help, strings.Join(v.Nodes, "; ")))
	}
	return all
}
