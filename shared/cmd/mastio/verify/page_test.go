package verify_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/verify"
	"github.com/mastio-aws/mastio/test/audittest"
)

// void are elements without an end.
var void = []string{"meta", "link", "br", "img", "input", "hr"}

// balanced reads a page and fails for a tag without its other end, and for whatever would load or run something.
func balanced(t *testing.T, page string) {
	t.Helper()
	var open []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind { //nolint:exhaustive // only what opens, closes, or ends
		case html.ErrorToken:
			if z.Err() != io.EOF { //nolint:errorlint // the tokenizer's own
				t.Error(z.Err())
			}
			if len(open) > 0 {
				t.Errorf("no end of %q", open)
			}
			return
		case html.StartTagToken:
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> ends %q", token.Data, open)
			}
			open = open[:len(open)-1]
		}
		if slices.Contains([]string{"script", "iframe", "object", "embed", "link", "img", "base"}, token.Data) &&
			kind != html.TextToken {
			t.Errorf("a <%s> in a page that needs nothing from elsewhere", token.Data)
		}
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" {
				t.Errorf("%s=%q", a.Key, a.Val)
			}
		}
	}
}

func TestPage(t *testing.T) {
	h := audittest.New()
	h.Append(audittest.OrgID, audit.OrgCARotated, map[string]any{"generation": int64(2), "fingerprint": "f00d",
		"reason": "keyCompromise", "comment": "<script>alert(1)</script>", "source_ip": "192.0.2.7"})
	h.Rotate("orga::kyc")
	h.Seal()
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	if err := os.WriteFile(path, h.Bundle(0, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	o := verify.Options{VerifierConfig: bundle.VerifierConfig{Key: h.Public.Fingerprint}}
	report, err := verify.Files(o, []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.From == "" || report.From > report.To || report.Actors["admin:test"] != 3 {
		t.Errorf("the report is of %q to %q, by %v", report.From, report.To, report.Actors)
	}
	var page bytes.Buffer
	if err := verify.Page(&page, report, []string{path}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	balanced(t, page.String())
	for _, want := range []string{"<h2>OK</h2>", "admin:test from 192.0.2.7", "org_ca.rotated", "fingerprint f00d",
		"keyCompromise: &lt;script&gt;", "sealed by checkpoint 1", h.Public.Fingerprint, report.Acts[0].Hash} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	report.Break = &bundle.Break{File: "b", Reason: "it was changed"}
	page.Reset()
	if err := verify.Page(&page, report, []string{path}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	balanced(t, page.String())
	if !strings.Contains(page.String(), "<h2>BROKEN</h2>") || strings.Contains(page.String(), "<h2>OK</h2>") {
		t.Error("a broken trail is not called broken")
	}
}
