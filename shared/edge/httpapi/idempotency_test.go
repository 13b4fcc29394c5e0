package httpapi_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/routes"
)

const (
	refuses     = "400 idempotency_key_not_supported"
	replays     = "the answer, once more"
	alreadyDone = "409 already_done"
)

// posts is what each POST does with an Idempotency-Key. A new route has to be added here.
var posts = map[string]string{
	"POST /registry/agents/{agent_id}/rotate-cert": alreadyDone, // the keys were made here
	"POST /pki/rotate-ca":                          replays,
	"POST /pki/rotate-ca/reissue":                  replays,
	"POST /v1/admin/agents":                        alreadyDone,
	"POST /v1/admin/agents:rotate":                 replays,
	"POST /v1/admin/agents/enroll/byoca":           replays,
	"POST /v1/admin/agents/enroll/spiffe":          replays,
	"POST /v1/admin/audit/checkpoint":              replays,
	"POST /v1/admin/audit/bundle":                  refuses, // it reads

	// Agents: a renewal is repeated as it was, and all else stores nothing that a repetition would do twice.
	"POST /v1/auth/token":                       refuses,
	"POST /v1/auth/login-challenge":             refuses,
	"POST /v1/auth/sign-challenged-assertion":   refuses,
	"POST /v1/auth/sign-assertion":              refuses,
	"POST /v1/auth/introspect":                  refuses,
	"POST /v1/agent/renew":                      refuses,
	"POST /.well-known/est/simplereenroll":      refuses,
	"POST /proxy/login":                         refuses, // the dashboard's forms work once without a key
	"POST /proxy/logout":                        refuses,
	"POST /proxy/enrol":                         refuses,
	"POST /proxy/agents/{agent_id}/rotate-cert": refuses,
	"POST /proxy/agents/{agent_id}/deactivate":  refuses,
	"POST /proxy/agents/{agent_id}/edit":        refuses,
	"POST /proxy/agents/{agent_id}/hygiene":     refuses,
	"POST /proxy/rotate":                        refuses,
	"POST /proxy/pki/rotate-ca":                 refuses,
	"POST /proxy/pki/rotate-ca/preflight":       refuses,
	"POST /proxy/pki/rollback":                  refuses,
	"POST /proxy/pki/finalise":                  refuses,
	"POST /proxy/pki/cancel":                    refuses,
	"POST /proxy/pki/reissue":                   refuses,
	"POST /proxy/audit/verify":                  refuses,
	"POST /proxy/audit/bundle":                  refuses,
}

func keyed(k string) edit { return header("Idempotency-Key", k) }

func TestEveryRouteDecidesOnIdempotencyKeys(t *testing.T) {
	w, agents := openWithCast(t)
	all := everyShape(t, w, agents)
	var repeatable []string
	for _, r := range routes.All() {
		route := r.Method + " " + r.Path
		does, ok := posts[route]
		if r.Method != http.MethodPost {
			does, ok = refuses, true
		}
		switch {
		case !ok:
			t.Errorf("%s: say in posts what it does with an Idempotency-Key", route)
		case does != refuses:
			repeatable = append(repeatable, route)
		case r.Function == "dashboard":
			refusesUnheard(t, r)
		default:
			t.Run(route, func(t *testing.T) {
				code, path := "idempotency_key_not_supported", ""
				if strings.HasPrefix(r.Path, "/v1/auth/") {
					code, path = "invalid_request", r.Path
				}
				w.refuse(t, path, refusal{"with a key", with(all[route].request, keyed("k")), 400, code})
			})
		}
	}
	slices.SortFunc(repeatable, func(a, b string) int { return strings.Compare(posts[b], posts[a]) })
	moveLast(repeatable, "POST /pki/rotate-ca") // the others are for the present Org CA
	for _, route := range repeatable {
		t.Run(route, func(t *testing.T) { w.repeated(t, all[route], posts[route], route) })
	}
	describesKeys(t, repeatable)
}

func moveLast(list []string, one string) {
	i := slices.Index(list, one)
	list[i], list[len(list)-1] = list[len(list)-1], list[i]
}

// refusesUnheard: the handler of a page is not reached with the header.
func refusesUnheard(t *testing.T, r routes.Route) {
	t.Helper()
	mux, err := httpapi.New(httpapi.Config{
		Handlers: httpapi.Handlers{r.Method + " " + r.Path: func(http.ResponseWriter, *http.Request) error {
			t.Errorf("%s %s: carried out", r.Method, r.Path)
			return nil
		}},
		Session: func(_ http.ResponseWriter, req *http.Request, _ routes.Route) (*http.Request, error) { return req, nil },
		Log:     slog.New(slog.DiscardHandler),
		Now:     time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(r.Method, strings.NewReplacer("{", "", "}", "").Replace(r.Path), nil)
	req.Header.Set("Idempotency-Key", "k")
	req = req.WithContext(httpapi.WithCall(req.Context(), httpapi.Call{By: audit.By{RequestID: requestID}}))
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, req)
	wantProblem(t, answer{rec.Code, rec.Header(), rec.Body.Bytes()}, 400, "idempotency_key_not_supported")
}

// repeated sends a request twice: the second changes nothing and is answered as the table says.
func (w *world) repeated(t *testing.T, s shape, does, key string) {
	t.Helper()
	key = strings.ReplaceAll(key, " ", "_")
	request := with(s.request, keyed(key))
	first := w.send(t, request)
	if first.status != s.status || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d %.300s, replayed %q", first.status, first.body, first.header.Get("Idempotency-Replayed"))
	}
	w.keptIsPublic(t, key)
	before := w.state(t)
	again := w.send(t, request)
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Errorf("the repetition changed something (-before +after):\n%s", diff)
	}
	if does == alreadyDone {
		wantDone(t, first, again)
	} else {
		wantReplay(t, first, again)
	}
	if strings.HasSuffix(s.request.Path, "checkpoint") {
		return // nothing can be asked otherwise
	}
	w.refuse(t, "", refusal{"another request", with(request, otherwise(t, s.request)), 422, "idempotency_key_reused"})
	w.refuse(t, "", refusal{"another route", event("POST", "/v1/admin/audit/checkpoint", admin, keyed(key)), 422,
		"idempotency_key_reused"})
}

// otherwise makes another request of one, for the same agent and the same Org CA.
func otherwise(t *testing.T, request events.APIGatewayProxyRequest) edit {
	t.Helper()
	if request.Body == "" {
		return query("overlap", "60")
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(request.Body), &members); err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasSuffix(request.Path, "rotate-cert"):
		members["grace_seconds"] = 60
	case strings.HasSuffix(request.Path, "reissue"):
		members["comment"] = "another"
	case request.Path == manyPath:
		members["filter"] = map[string]any{"q": "a"}
	default:
		members["display_name"] = "Another"
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return jsonBody(string(text))
}

func wantReplay(t *testing.T, first, again answer) {
	t.Helper()
	if again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repetition is not marked: %v", again.header)
	}
	again.header.Del("Idempotency-Replayed")
	if diff := cmp.Diff(first, again, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("answers (-first +again):\n%s", diff)
	}
}

func wantDone(t *testing.T, first, again answer) {
	t.Helper()
	wantHeader(t, again, "application/problem+json")
	var was holder
	first.into(t, first.status, &was)
	var got struct {
		Detail, Code string
		Done         struct {
			Thumbprint string    `json:"cert_thumbprint"`
			At         time.Time `json:"at"`
			Next       string    `json:"next"`
		}
	}
	again.into(t, 409, &got)
	if got.Code != "already_done" || got.Done.Thumbprint != was.Thumbprint || got.Done.At.IsZero() ||
		got.Done.Next != "POST /registry/agents/"+was.ID+"/rotate-cert" {
		t.Errorf("%s, done = %+v, want already_done and the certificate %s", got.Code, got.Done, was.Thumbprint)
	}
	for _, part := range []string{was.Thumbprint, got.Done.Next, got.Done.At.Format(time.RFC3339)} {
		if !strings.Contains(got.Detail, part) {
			t.Errorf("detail %q lacks %q", got.Detail, part)
		}
	}
}

// keptIsPublic: what is kept holds no private key, and has an end.
func (w *world) keptIsPublic(t *testing.T, key string) {
	t.Helper()
	a, err := w.Store.Answer(t.Context(), key, w.Now())
	if err != nil || a == nil {
		t.Fatalf("kept under the key: %v, %v", a, err)
	}
	for _, mark := range []string{"PRIVATE KEY", `"d":`, "key_pem"} {
		if bytes.Contains(a.Result, []byte(mark)) || strings.Contains(a.Request, mark) {
			t.Errorf("what is kept holds %s: %s %s", mark, a.Request, a.Result)
		}
	}
	if left := a.Expires.Sub(w.Now()); left <= 23*time.Hour || left > 24*time.Hour {
		t.Errorf("kept for %s", left)
	}
}

// describesKeys: the OpenAPI document names the header on these routes and no other.
func describesKeys(t *testing.T, repeatable []string) {
	t.Helper()
	b, err := routes.Document()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name string }
			Responses  map[string]struct{ Headers map[string]any }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes.All() {
		o := d.Paths[r.Path][strings.ToLower(r.Method)]
		want := slices.Contains(repeatable, r.Method+" "+r.Path)
		takes := slices.ContainsFunc(o.Parameters, func(p struct{ Name string }) bool { return p.Name == "Idempotency-Key" })
		if takes != want {
			t.Errorf("%s %s: the document has the header: %t", r.Method, r.Path, takes)
		}
		for status, a := range o.Responses {
			if _, marks := a.Headers["Idempotency-Replayed"]; marks != (want && status[0] == '2') {
				t.Errorf("%s %s: the document marks replays of %s: %t", r.Method, r.Path, status, marks)
			}
		}
	}
}
