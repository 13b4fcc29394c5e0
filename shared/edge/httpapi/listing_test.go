package httpapi_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// listedPage is a page of the list, without what other tests look at.
type listedPage struct {
	Agents []struct {
		ID string `json:"agent_id"`
	} `json:"agents"`
	Next  string `json:"next_cursor"`
	Total *int64 `json:"total"`
}

func (w *world) listPage(t *testing.T, pairs ...string) (p listedPage) {
	t.Helper()
	w.send(t, event("GET", "/v1/admin/agents", admin, queries(pairs...))).into(t, 200, &p)
	return p
}

// queries sets parameters: name, value, name, value.
func queries(pairs ...string) edit {
	var edits []edit
	for n := 0; n < len(pairs); n += 2 {
		edits = append(edits, query(pairs[n], pairs[n+1]))
	}
	return func(e *events.APIGatewayProxyRequest) {
		for _, edit := range edits {
			edit(e)
		}
	}
}

// names reads all pages, by two agents each, and the total of the first page; -1: it has none.
func (w *world) names(t *testing.T, pairs ...string) (names []string, total int64) {
	t.Helper()
	names, total = []string{}, -1
	for cursor, n := "", 0; n < 20; n++ {
		page := append([]string{"limit", "2"}, pairs...)
		if cursor != "" {
			page = append(page, "cursor", cursor)
		}
		p := w.listPage(t, page...)
		for _, a := range p.Agents {
			names = append(names, strings.TrimPrefix(a.ID, "orga::"))
		}
		if p.Total != nil {
			if n > 0 {
				t.Errorf("%v: page %d has a total", pairs, n)
			}
			total = *p.Total
		}
		if cursor = p.Next; cursor == "" {
			return names, total
		}
	}
	t.Fatalf("%v: no end", pairs)
	return nil, 0
}

func TestListingFilters(t *testing.T) {
	w := open(t, memstore.Config{})
	enrol := func(name, owner string) {
		body := members{"agent_name": name, "owner": owner}
		w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(body.text(t)))).into(t, 201, &holder{})
	}
	enrol("kyc-b", "Team A")
	w.Advance(24 * time.Hour)
	enrol("kyc-a", "Team B")
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "byo", leaf).with("owner", "Team A")).into(t, 201, &enrolAnswer{})
	w.change(t, query("mode", "mint"))
	enrol("aml", "team a")
	enrol("gone", "Team A")
	w.send(t, event("DELETE", "/v1/admin/agents/orga::gone", admin))
	for _, c := range []struct {
		pairs string
		want  string
		total int64
	}{
		{"", "gone byo kyc-a kyc-b aml", 5},
		{"sort=name", "aml byo gone kyc-a kyc-b", 5},
		{"sort=due", "kyc-b aml kyc-a", 3},
		{"q=KYC", "kyc-a kyc-b", -1},
		{"q=yc-B", "kyc-b", -1},
		{"q=nothing", "", -1},
		{"method=byoca", "byo", -1},
		{"status=active", "byo kyc-a kyc-b aml", 4},
		{"status=active method=minted", "kyc-a kyc-b aml", 3},
		{"status=deactivated", "gone", -1},
		{"owner=Team%20A sort=name", "aml byo gone kyc-b", -1},
		{"generation=2", "aml", 1},
		{"generation=not_current", "byo kyc-a kyc-b", 3},
		{"generation=not_current method=minted", "kyc-a kyc-b", 2},
		{"generation=not_current sort=name q=y owner=Team%20B", "kyc-a", -1},
		{"due=0", "", 0},
		{"due=90", "", 0},
	} {
		got, total := w.names(t, pairsOf(c.pairs)...)
		if diff := cmp.Diff(strings.Fields(c.want), got); diff != "" || total != c.total {
			t.Errorf("%s: total %d, want %d; (-want +got):\n%s", c.pairs, total, c.total, diff)
		}
	}
	w.Advance(335*24*time.Hour - 24*time.Hour) // the first is due now, the second a day later
	for days, want := range map[int]string{0: "kyc-b", 1: "kyc-b aml kyc-a"} {
		got, total := w.names(t, "due", strconv.Itoa(days))
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" || total != int64(len(got)) {
			t.Errorf("due within %d days: total %d (-want +got):\n%s", days, total, diff)
		}
	}
}

func pairsOf(text string) (pairs []string) {
	for _, p := range strings.Fields(text) {
		name, value, _ := strings.Cut(p, "=")
		pairs = append(pairs, name, strings.ReplaceAll(value, "%20", " "))
	}
	return pairs
}

// One answer names every parameter that is wrong.
func TestListingNamesAllThatIsWrong(t *testing.T) {
	w := open(t, memstore.Config{})
	bad := map[string]string{"q": strings.Repeat("a", 65), "method": "acme", "status": "enabled", "due": "91",
		"owner": "a\nb", "generation": "0", "sort": "age", "limit": "1001"}
	var pairs []string
	for name, value := range bad {
		pairs = append(pairs, name, value)
		code := "query_invalid"
		if name == "limit" {
			code = "limit_invalid"
		}
		for _, v := range []string{value, ""} {
			w.refuse(t, "/v1/admin/agents",
				refusal{name + "=" + v, event("GET", "/v1/admin/agents", admin, query(name, v)), 400, code})
		}
	}
	a := w.send(t, event("GET", "/v1/admin/agents", admin, queries(pairs...)))
	if a.status != 400 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	for name := range bad {
		if !strings.Contains(string(a.body), name+" takes ") {
			t.Errorf("%s is not named: %s", name, a.body)
		}
	}
}

// The agent that was never seen comes first, then the one that was seen longest ago; a clock far ahead has seen none.
func TestListingByLastSeen(t *testing.T) {
	w := open(t, memstore.Config{})
	for _, name := range []string{"early", "late", "never", "also-late", "ahead"} {
		a := w.enrol(t, name)
		switch w.Advance(time.Hour); name {
		case "never":
		case "ahead":
			s := registry.SightingOf("orga::ahead", 1, w.Now().Add(72*time.Hour))
			if err := w.Store.Seen(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		default:
			if _, err := w.TokenFor(t.Context(), []byte(a.CertPEM)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for query, want := range map[string]string{
		"":                   "ahead never early late also-late",
		"q=late":             "late also-late",
		"generation=1 q=NEV": "never",
		"status=deactivated": "",
	} {
		got, total := w.names(t, append(pairsOf(query), "sort", "last_seen")...)
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" || total != int64(len(got)) {
			t.Errorf("%s: total %d (-want +got):\n%s", query, total, diff)
		}
	}
	other := w.listPage(t, "sort", "name", "limit", "2").Next
	for _, cursor := range []string{other, "x", "MDA"} {
		w.refuse(t, "/v1/admin/agents", refusal{"cursor " + cursor, event("GET", "/v1/admin/agents", admin,
			queries("sort", "last_seen", "cursor", cursor)), 400, "cursor_invalid"})
	}
}
