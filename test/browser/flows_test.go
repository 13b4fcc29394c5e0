package browser

import (
	"archive/zip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// TestFlows does what operators do, one after the other, as in the guide.
func TestFlows(t *testing.T) {
	s, window := start(t, 12), launch(t)
	for _, flow := range []struct {
		name string
		do   func(*testing.T, *tab)
	}{
		{"a wrong secret is told beside its field", wrongSecret},
		{"a certificate is rotated, and its files saved once", rotateCert},
		{"two clicks at once rotate once", doubleClick},
		{"a certificate is rotated by keyboard alone", byKeyboard},
		{"a certificate is rotated without scripts", withoutScripts},
		{"a wrong upload is told beside its halves", wrongUpload},
		{"another operator's rotation is waited for", anotherRotation},
		{"the session ends in the middle", sessionEnds},
		{"the Org CA is rotated, rolled back, rotated again and finalised", rotateOrgCA},
		{"an own Org CA is brought, its certificate pasted and its key chosen as a file", ownOrgCA},
		{"an agent is enrolled, and found among those that are due", enrolAgent},
		{"agents are selected, and rotated by one order", rotateMany},
		{"an agent is edited", editAgent},
		{"the search is a key away, and times are in the browser's zone", shortcuts},
		{"an agent is deactivated", deactivateAgent},
		{"the audit trail is filtered, verified, and packed for an auditor", auditTrail},
		{"signing out everywhere ends every session", signOutEverywhere},
	} {
		t.Run(flow.name, func(t *testing.T) { flow.do(t, s.tab(window, t)) })
	}
}

func wrongSecret(_ *testing.T, b *tab) {
	b.open("/proxy/agents/orga::kyc-screener-eu")
	b.fill("#secret", "a guess")
	b.press("form button.primary")
	b.says("This is not the admin secret. It is MCP_PROXY_ADMIN_SECRET in proxy.env.")
	b.fill("#secret", b.s.AdminSecret)
	b.press("form button.primary")
	b.says("kyc-screener-eu", "Rotate cert")
}

func rotateCert(t *testing.T, b *tab) {
	b.signIn()
	folder := b.downloads()
	b.open("/proxy/agents/orga::kyc-screener-eu")
	b.press("a.primary")
	b.press("main button.primary")
	b.says("Certificate rotated", "Save these files now")
	for _, name := range []string{"cert.pem", "agent-key.pem", "dpop.jwk", "kyc-screener-eu.zip"} {
		b.do(chromedp.Click(chromedp.CSS(`a[download="` + name + `"]`)))
		b.wait(func() bool { _, err := os.Stat(filepath.Join(folder, name)); return err == nil })
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	z, err := zip.OpenReader(filepath.Join(folder, "kyc-screener-eu.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(r); err != nil || string(data) != string(read(f.Name)) {
			t.Errorf("%s in the zip is another one than beside it: %v", f.Name, err)
		}
	}
	if status := token(t, b.s, read("cert.pem"), read("agent-key.pem")); status != http.StatusOK {
		t.Errorf("token with the files that were saved: status %d", status)
	}
	// Loading the page again sends the form again: no second rotation, and no keys.
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Reload()); err != nil {
		t.Fatal(err)
	}
	b.says("Certificate rotated already", "If you did not save them, rotate the certificate again.", "Rotate again")
	if status := token(t, b.s, read("cert.pem"), read("agent-key.pem")); status != http.StatusOK {
		t.Errorf("token after the page was loaded again: status %d", status)
	}
	b.open("/proxy/agents/orga::kyc-screener-eu")
	b.says("Certificate rotated", "by dashboard ")
	// Nor does the way back show them.
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
	b.wait(func() bool { return strings.Contains(b.text(), "Confirm Form Resubmission") })
}

// caller calls the Mastio, with a certificate or without.
func (s *system) caller(certificates ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: certificates,
		RootCAs:      roots,
	}}}
}

// use gives an agent a certificate, and a token for it.
func (s *system) use(t *testing.T, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		s.URL+"/registry/agents/"+id+"/rotate-cert", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Admin-Secret", s.AdminSecret)
	client := s.caller()
	defer client.CloseIdleConnections()
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var made struct {
		Cert string `json:"cert_pem"`
		Key  string `json:"key_pem"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("rotate-cert: status %d, %v", answer.StatusCode, err)
	}
	if status := token(t, s, []byte(made.Cert), []byte(made.Key)); status != http.StatusOK {
		t.Fatalf("token: status %d", status)
	}
}

// token asks for one with a client certificate.
func token(t *testing.T, s *system, certPEM, keyPEM []byte) int {
	t.Helper()
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	client := s.caller(pair)
	defer client.CloseIdleConnections()
	answer, err := client.Post(s.URL+"/v1/auth/token", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// doubleClick sends the same form from two tabs of one browser at the same moment.
func doubleClick(t *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/agents/orga::payments-screener-eu/rotate-cert")
	statuses := get(b, chromedp.Evaluate[[]int](`(async () => {
		const send = () => fetch(location.href, {method: 'POST', body: new URLSearchParams(new FormData(document.querySelector('main form')))}).then(r => r.status);
		return Promise.all([send(), send(), send(), send()]);
	})()`, chromedp.EvalAwaitPromise))
	slices.Sort(statuses)
	if !slices.Equal(statuses, []int{200, 409, 409, 409}) {
		t.Errorf("statuses %v, want one rotation and three refusals", statuses)
	}
	b.open("/proxy/agents/orga::payments-screener-eu")
	if n := get(b,
		chromedp.Evaluate[int](`[...document.querySelectorAll('.events h3')].filter(h => h.textContent === 'Certificate rotated').length`)); n > 2 {
		t.Errorf("%d rotations in the activity; the fleet made at most one before", n)
	}
}

// byKeyboard never touches the mouse: it goes from link to link, as a user without a mouse does.
func byKeyboard(t *testing.T, b *tab) {
	b.open("/proxy")
	b.keys(b.s.AdminSecret, kb.Enter) // the field has the focus from the start
	b.arrive("/proxy/overview")
	b.keys(kb.Tab)
	if got := b.focused(); got != "Skip to content" {
		t.Errorf("the first stop is %q, want the way past the navigation", got)
	}
	b.keys(kb.Enter, kb.Tab) // past it stands the search
	b.keys("fraud-screener", kb.Enter)
	b.arrive("/proxy/agents?q=fraud-screener")
	b.tabTo("fraud-screener-eu")
	b.keys(kb.Enter)
	b.arrive("/proxy/agents/orga::fraud-screener-eu")
	b.tabTo("Rotate cert")
	b.keys(kb.Enter)
	b.arrive("/proxy/agents/orga::fraud-screener-eu/rotate-cert")
	b.tabTo("stops at once")
	b.keys(kb.ArrowDown) // to the next choice
	b.tabTo("Rotate cert")
	b.keys(kb.Enter)
	b.wait(func() bool { return strings.Contains(b.text(), "Save these files now") })
	b.says("Its old certificate works until")
}

// focused is the name of what the keyboard is on.
func (b *tab) focused() string {
	return strings.TrimSpace(get(b,
		chromedp.Evaluate[string](`(() => { const e = document.activeElement; return (e.closest('label')?.querySelector('strong') ?? e).innerText ?? ''; })()`)))
}

func (b *tab) tabTo(name string) {
	b.t.Helper()
	for range 60 {
		b.keys(kb.Tab)
		if b.focused() == name {
			// What has the focus has to be seen.
			if width := get(b,
				chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`)); width == "none" {
				b.t.Errorf("%q has the focus, and nobody sees it", name)
			}
			return
		}
	}
	b.t.Fatalf("the keyboard does not come to %q; the page says: %.300s", name, b.text())
}

func (b *tab) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// arrive waits until the page at an address has loaded: the browser drops a key that is pressed earlier.
func (b *tab) arrive(path string) {
	b.t.Helper()
	b.wait(func() bool {
		return get(b,
			chromedp.Evaluate[string](`document.readyState === 'complete' ? location.pathname + location.search : ''`)) == path
	})
}

// wait looks until something holds.
func (b *tab) wait(holds func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			b.t.Fatalf("waited in vain at %s; the page says: %.500s", b.path(), b.text())
		}
	}
}

func withoutScripts(_ *testing.T, b *tab) {
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.signIn()
	b.open("/proxy/agents/orga::treasury-screener-eu")
	b.press("a.primary")
	b.press("main button.primary")
	b.says("Save these files now")
	b.preflight()
	b.commit("86400")
	b.says("The Org CA is rotated")
	b.open("/proxy/pki")
	b.says("of 13 agents")
	b.open("/proxy/pki/rollback")
	b.confirm()
	b.says("The rotation is undone")
	b.open("/proxy/audit")
	b.press("form.filter button")
	b.says("Org CA rolled back")
}

func wrongUpload(t *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/pki/rotate-ca")
	b.press("form[enctype] button")
	b.says("Paste the certificate, or choose its file.", "Paste the private key, or choose its file.")
	cert, key := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM, keyPEM := pair(t, false)
	for path, data := range map[string][]byte{cert: certPEM, key: keyPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#ca_cert_file"), []string{cert}),
		chromedp.SetUploadFiles(chromedp.CSS("#ca_key_file"), []string{key}))
	b.press("form[enctype] button")
	b.says("ca_not_a_ca", "The key is not sent back to you")
	if shown := get(b, chromedp.Value(chromedp.CSS("#ca_key"))); shown != "" {
		t.Errorf("the key came back: %.20s", shown)
	}
	if at := get(b, chromedp.Evaluate[string](`document.activeElement.id`)); at != "ca_cert" {
		t.Errorf("the focus is on %q, want the field that is wrong", at)
	}
	b.see(t.TempDir(), "upload-refused", "")
}

func ownOrgCA(t *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/pki/rotate-ca")
	certPEM, keyPEM := pair(t, true)
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, keyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.SetValue(chromedp.CSS("#ca_cert"), string(certPEM)),
		chromedp.SetUploadFiles(chromedp.CSS("#ca_key_file"), []string{key}))
	b.press("form[enctype] button")
	b.says("Pre-flight check", "CN=Our own CA", "uploaded by an operator", "The key is strong, and new", "stop at once")
	b.commit("0")
	b.says("The Org CA is rotated", "CN=Our own CA", "Every certificate of the previous Org CA has stopped.")
	b.open("/proxy/pki")
	b.says("CN=Our own CA", "uploaded by an operator")
}

func enrolAgent(_ *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/enrol")
	b.fill("#name", "not a name")
	b.press("main button.primary")
	b.says("each 1 to 64 of letters")
	b.fill("#name", "night-watch")
	b.press("main button.primary")
	b.says("Agent enrolled", "Save these files now")
	b.open("/proxy/agents/orga::night-watch/rotate-cert")
	b.do(chromedp.Click(chromedp.CSS("summary")))
	b.fill("#days", "9")
	b.press("main button.primary")
	b.says("Certificate rotated")
	b.open("/proxy/overview")
	b.press("main a[href*='show=due-30']")
	b.says("due within 30 days", "night-watch")
}

func rotateMany(t *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/agents?q=SCREENER-eu")
	if disabled := get(b, chromedp.Evaluate[bool](`document.querySelector('[data-selected]').disabled`)); !disabled {
		t.Error("nothing is selected, and can be rotated")
	}
	b.do(chromedp.Click(chromedp.CSS(`input[value="orga::kyc-screener-eu"]`)),
		chromedp.Click(chromedp.CSS(`input[value="orga::payments-screener-eu"]`)))
	b.press("[data-selected]")
	b.says("Rotate 2 agents", "kyc-screener-eu", "payments-screener-eu")
	b.press("main button.primary")
	b.says("of 2 agents dealt with")
	b.see(t.TempDir(), "job", "")
	for range 3 { // the schedule runs the job; here nothing else does
		if _, err := b.s.Lambda.Invoke(t.Context(), "hygiene", []byte(`{"source":"aws.events"}`)); err != nil {
			t.Fatal(err)
		}
	}
	b.wait(func() bool { return strings.Contains(b.text(), "New certificates were made") })
	b.says("2 of 2 agents dealt with")
}

func editAgent(_ *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/agents/orga::treasury-screener-eu")
	b.press("a[href$='/edit']")
	b.fill("#owner", "Team Treasury")
	b.press("main button.primary")
	b.says("Saved.", "Team Treasury", "Profile changed")
	b.press("dd a[href*='owner=']")
	b.says("owned by Team Treasury", "treasury-screener-eu")
}

func shortcuts(t *testing.T, b *tab) {
	b.signIn()
	call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"})
	b.open("/proxy/agents/orga::kyc-screener-eu")
	zone := get(b, chromedp.Evaluate[[]string](
		`(e => [e.textContent, e.title])(document.querySelector('time[data-as=moment]'))`))
	if !strings.HasSuffix(zone[0], "GMT+5:30") || !strings.HasSuffix(zone[1], "UTC") {
		t.Errorf("a time in India is %q", zone)
	}
	b.keys("/")
	b.arrive("/proxy/agents")
	b.wait(func() bool { return get(b, chromedp.Evaluate[string](`document.activeElement.id`)) == "q" })
	b.keys("Router", kb.Enter)
	b.arrive("/proxy/agents?q=Router")
	b.says("with “Router” in the name")
	call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: ""})
}

// pair is a certificate with its key, of a CA or of none.
func pair(t *testing.T, ca bool) (certPEM, keyPEM []byte) {
	t.Helper()
	key, der, err := selfSigned(ca)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE",
		Bytes: der,
	}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func anotherRotation(t *testing.T, b *tab) {
	b.signIn()
	b.preflight()
	confirm := get(b, chromedp.Text(chromedp.CSS("label[for=confirm] code")))
	store := dynamo.New(dynamo.Config{Client: b.s.Clients.DynamoDB, Prefix: b.s.TablePrefix()})
	now := time.Now()
	held, err := store.Acquire(t.Context(), orgca.Lease{
		Holder:    "somebody else",
		Operation: "rotate-ca mint",
		Phase:     "prepare",
		Expires:   now.Add(orgca.LeaseTTL),
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	b.fill("#confirm", confirm)
	b.do(chromedp.Click(chromedp.CSS("input[value='86400']")))
	b.press("main button.danger")
	b.says("Another rotation is in progress.", "Try again in")
	b.see(t.TempDir(), "preflight-busy", "")
	b.open("/proxy/pki")
	b.says("A rotation is in progress", "rotate-ca mint, phase prepare")
	if err := store.Release(t.Context(), held); err != nil {
		t.Fatal(err)
	}
}

func (b *tab) preflight() {
	b.t.Helper()
	b.open("/proxy/pki/rotate-ca")
	b.press("main form button.primary")
	b.says("Pre-flight check")
}

func (b *tab) commit(overlap string) {
	b.t.Helper()
	confirm := get(b, chromedp.Text(chromedp.CSS("label[for=confirm] code")))
	b.do(chromedp.Click(chromedp.CSS("input[name=overlap][value='" + overlap + "']")))
	b.fill("#confirm", confirm)
	b.press("main button.danger")
}

func sessionEnds(t *testing.T, b *tab) {
	b.signIn()
	b.preflight()
	before := b.generation()
	call(b, network.DeleteCookies, network.DeleteCookiesParams{Name: "__Host-mastio-session", URL: b.s.URL})
	b.commit("0")
	b.says("Your session has ended. What you sent last was not carried out.")
	b.fill("#secret", b.s.AdminSecret)
	b.press("form button.primary")
	b.says("Pre-flight check")
	if after := b.generation(); after != before {
		t.Errorf("generation %d became %d without a session", before, after)
	}
}

// generation is the current one, as /healthz reports it.
func (b *tab) generation() int64 {
	b.t.Helper()
	var health struct{ Generation int64 }
	body := get(b, chromedp.Evaluate[string](`fetch('/healthz').then(r => r.text())`, chromedp.EvalAwaitPromise))
	if err := json.Unmarshal([]byte(body), &health); err != nil {
		b.t.Fatal(err)
	}
	return health.Generation
}

func rotateOrgCA(t *testing.T, b *tab) {
	b.signIn()
	b.s.use(t, "orga::kyc-screener-eu")
	before := b.generation()
	b.preflight()
	b.commit("604800")
	b.says("The Org CA is rotated", "Certificates of the previous Org CA still count until", "in 7 days")
	if b.generation() <= before {
		t.Errorf("generation %d is still current", before)
	}
	b.open("/proxy/pki")
	b.says("current", "superseded", "Roll back to")
	// The bar moves without a reload while an agent re-enrols elsewhere.
	moved := get(b, chromedp.Text(chromedp.CSS("[data-live-text]")))
	other := b.s.tab(b.ctx, t)
	other.signIn()
	other.open("/proxy/agents/orga::support-screener-eu/rotate-cert")
	other.press("main button.primary")
	b.wait(func() bool { return get(b, chromedp.Text(chromedp.CSS("[data-live-text]"))) != moved })

	b.open("/proxy/pki/rollback")
	b.confirm()
	b.says("The rotation is undone")
	if got := b.generation(); got != before {
		t.Errorf("generation %d is current, want %d", got, before)
	}
	b.preflight()
	b.commit("86400")
	b.says("The Org CA is rotated")
	// Agents that are in use have not moved: it asks once more, and nothing has changed until then.
	b.open("/proxy/pki/finalise")
	b.says("What this cuts off", "got a token in the last day")
	b.confirm()
	b.says("Nothing was changed: agents that are in use remain")
	b.do(chromedp.Click(chromedp.CSS("input[name=anyway]")))
	b.confirm()
	b.says("The rotation is final", "Certificates of earlier Org CAs do not count any more.")
	b.open("/proxy/overview")
	b.says("Overlap ended", "Org CA rolled back", "by dashboard ")
}

func (b *tab) confirm() {
	b.t.Helper()
	b.fill("#confirm", get(b, chromedp.Text(chromedp.CSS("label[for=confirm] code"))))
	b.press("main button.danger")
}

func deactivateAgent(_ *testing.T, b *tab) {
	b.signIn()
	b.open("/proxy/agents/orga::claims-screener-eu/deactivate")
	b.fill("#confirm", "claims")
	b.press("main button.danger")
	b.says("Type the agent's name, claims-screener-eu, to deactivate it.")
	b.fill("#confirm", "claims-screener-eu")
	b.press("main button.danger")
	b.says("Deactivated. None of its certificates gets a token any more.")
}

func auditTrail(t *testing.T, b *tab) {
	b.signIn()
	folder := b.downloads()
	b.open("/proxy/audit")
	b.do(chromedp.SetValue(chromedp.CSS("#event_type"), "agent.deactivated"))
	b.press("form.filter button")
	b.says("claims-screener-eu", "dashboard ")
	b.press("form[action$=verify] button")
	b.says("The trail holds")
	b.open("/proxy/audit")
	b.press("form[action$=bundle] button")
	b.do(chromedp.Click(chromedp.CSS("a[download$='.tar.gz']")))
	var bundle string
	b.wait(func() bool {
		found, err := filepath.Glob(filepath.Join(folder, "*.tar.gz"))
		if err == nil && len(found) == 1 {
			bundle = found[0]
		}
		return bundle != ""
	})
	out, err := exec.Command("go", "run", "../../shared/cmd/mastio", "audit", "verify", "--unpinned",
		bundle).CombinedOutput()
	if err != nil {
		t.Errorf("the offline verifier: %v\n%s", err, out)
	}
	b.open("/proxy/audit")
	b.do(chromedp.Click(chromedp.CSS("a[href*='format=csv']")))
	b.wait(func() bool {
		found, err := filepath.Glob(filepath.Join(folder, "*.csv"))
		return err == nil && len(found) == 1
	})
}

// downloads lets the browser save files, and returns the folder.
func (b *tab) downloads() string {
	folder := b.t.TempDir()
	call(b, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior:         browser.SetDownloadBehaviorBehaviorAllow,
		DownloadPath:     folder,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	return folder
}

func signOutEverywhere(t *testing.T, b *tab) {
	b.signIn()
	other := b.s.tab(b.ctx, t)
	other.signIn()
	b.press("button[name=everywhere]")
	b.says("You are signed out.")
	other.open("/proxy/overview")
	other.says("Your session has ended.")
}
