package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// The dashboard counts each number at most once in five seconds, whatever page shows it, and counts again after an
// operator sends a form.
func TestNumbersAreCountedOnceInAWhile(t *testing.T) {
	var mu sync.Mutex
	counted := 0
	w := open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		mu.Lock()
		defer mu.Unlock()
		if op == "Count" || op == "CountDue" {
			counted++
		}
		return memstore.None
	}})
	w.admit(t, "kyc-1", "kyc-2")
	b := w.browser()
	b.signIn(t)
	load := func(target string) int {
		mu.Lock()
		counted = 0
		mu.Unlock()
		b.page(t, target)
		mu.Lock()
		defer mu.Unlock()
		return counted
	}
	targets := []string{"/proxy/agents", "/proxy/agents?sort=due", "/proxy/agents?show=generation-1",
		"/proxy/agents?show=due-30"}
	for _, target := range targets {
		if n := load(target); n == 0 {
			t.Errorf("%s was shown without a count", target)
		}
	}
	for range 3 {
		for _, target := range targets {
			if n := load(target); n > 0 {
				t.Errorf("%s within five seconds: %d counts", target, n)
			}
		}
	}
	w.admit(t, "kyc-3")
	if says(t, b.page(t, "/proxy/agents"), "2 agents"); load("/proxy/agents") > 0 {
		t.Error("counted again within five seconds")
	}
	w.Advance(5 * time.Second)
	says(t, b.page(t, "/proxy/agents"), "3 agents")
	b.submit(t, b.page(t, "/proxy/enrol"), "/proxy/enrol", url.Values{"name": {"kyc-4"}, "capabilities": {"kyc:read"}})
	says(t, b.page(t, "/proxy/agents"), "4 agents")
}

var nextPage = regexp.MustCompile(`href="(/proxy/agents\?[^"]*cursor=[^"]*)"`)

// A search over several pages finds each agent once, in the order of names, whatever else narrows the list, and those
// that were enrolled since the names were read once these are read again.
func TestSearchOverPages(t *testing.T) {
	w, b := signedIn(t)
	var want []string
	for n := range 130 {
		want = append(want, fmt.Sprintf("kyc-%03d", n))
	}
	w.admit(t, append(want, "pay-1", "pay-2")...)
	found := func(target string) (all []string) {
		for target != "" {
			page := b.page(t, target)
			all = append(all, strings.Fields(named(page))...)
			target = ""
			if m := nextPage.FindStringSubmatch(page.body); m != nil {
				target = html.UnescapeString(m[1])
			}
		}
		return all
	}
	for _, target := range []string{"?q=KYC", "?q=kyc&method=minted", "?q=kyc-&show=generation-1", "?q=orga::kyc"} {
		if got := found("/proxy/agents" + target); !slices.Equal(got, want) {
			t.Errorf("%s finds %d agents, want %d: %v", target, len(got), len(want), got)
		}
	}
	if got := found("/proxy/agents?q=kyc&method=byoca"); len(got) > 0 {
		t.Errorf("found %v", got)
	}
	w.admit(t, "kyc-new")
	w.Advance(5 * time.Second)
	if got := found("/proxy/agents?q=kyc"); !slices.Equal(got, append(want, "kyc-new")) {
		t.Errorf("five seconds later a search finds %d agents, want %d", len(got), len(want)+1)
	}
	if a := b.get(t, "/proxy/agents?q=kyc&cursor=none"); a.status != http.StatusBadRequest {
		t.Errorf("a cursor of no page: status %d", a.status)
	}
}
