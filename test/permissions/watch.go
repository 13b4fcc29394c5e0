package permissions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mastio-aws/mastio/localstack/stack"
)

// Watch sees what functions ask services for. It is safe for concurrent use.
type Watch struct {
	may table

	mu   sync.Mutex
	seen map[string]iamRequest // one of each kind
}

// New returns a Watch over the project's table, which it finds from a folder of tests.
func New() (*Watch, error) {
	t, err := readTable(filepath.Join("..", "..", "infra", "permissions.md"))
	return &Watch{may: t, seen: map[string]iamRequest{}}, err
}

// Wrap stands between the functions and a service; it is stack.Config's.
func (w *Watch) Wrap(service string, h http.Handler) http.Handler {
	ring := keyring{kms: h}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		function := Caller(r)
		if function == "" {
			h.ServeHTTP(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the caller is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		all := read(service, function, r, body)
		if service == stack.KMS {
			for i := range all {
				all[i] = all[i].deployed(ring.name)
			}
		}
		w.note(all)
		h.ServeHTTP(rw, r)
	})
}

// Caller is the function that signed a request, empty if no function did: on a local stack each has an access key of
// its own.
func Caller(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	if function, ok := strings.CutPrefix(key, stack.AccessKey); ok {
		return function
	}
	return ""
}

func (w *Watch) note(all []iamRequest) {
	for _, a := range all {
		key, err := json.Marshal([]any{a.function, a.action, a.resource, a.context})
		if err != nil {
			continue // texts always have a JSON form
		}
		w.mu.Lock()
		w.seen[string(key)] = a
		w.mu.Unlock()
	}
}

// meant reports whether AWS refuses a call on purpose. The standby job looks at every key of the account for keys
// that a rotation left behind: a key whose tags it may not read belongs to another system.
func meant(a iamRequest) bool {
	return a.function == "standby" && a.action == "kms:ListResourceTags" && !strings.HasSuffix(a.resource, ":key/*")
}

// Check returns everything that a function did and may not do, and how many kinds of calls were looked at.
func (w *Watch) Check() (refused []string, looked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(w.seen)) {
		a := w.seen[key]
		by, ok := w.may.judge(a)
		switch {
		case ok, meant(a):
		case by != "":
			refused = append(refused, fmt.Sprintf("%s: %s on %s with %v is denied by %s", a.function, a.action, a.resource,
				a.context, by))
		default:
			refused = append(refused, fmt.Sprintf("%s: %s on %s with %v is not in infra/permissions.md", a.function, a.action,
				a.resource, a.context))
		}
	}
	return refused, len(w.seen)
}

// Unused returns the actions, as function/statement/action, that no call needed.
func (w *Watch) Unused() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	used := map[string]bool{}
	for _, a := range w.seen {
		if by, ok := w.may.judge(a); ok {
			used[a.function+"/"+by+"/"+a.action] = true
		}
	}
	var idle []string
	for function, all := range w.may {
		for _, st := range all {
			for _, action := range st.actions {
				if who := function + "/" + st.sid + "/" + action; !st.deny && !used[who] {
					idle = append(idle, who)
				}
			}
		}
	}
	slices.Sort(idle)
	return idle
}

// aliases of a local stack's keys, and what the table calls them.
var aliases = map[string]string{
	"alias/mastio-token-kek": "TokenKEK", "alias/mastio-agent-secrets": "AgentSecretsKey",
	"alias/mastio-token-signing": "TokenKey", "alias/mastio-audit": "AuditKey",
}

// keyring identifies the keys of a KMS by the aliases that a local stack gives its keys.
type keyring struct {
	kms http.Handler

	mu    sync.Mutex
	known map[string]string // by key id: what the table calls it, or nothing for a key of the Org CA
}

func (k *keyring) name(id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if name, ok := k.known[id]; ok {
		return name
	}
	if k.known == nil {
		k.known = map[string]string{}
	}
	k.known[id] = ""
	for alias, name := range aliases {
		if k.resolve(alias) == id {
			k.known[id] = name
		}
	}
	return k.known[id]
}

func (k *keyring) resolve(alias string) (id string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"KeyId":"`+alias+`"}`))
	r.Header.Set("X-Amz-Target", "TrentService.DescribeKey")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+stack.AccessKey)
	answer := httptest.NewRecorder()
	k.kms.ServeHTTP(answer, r)
	var out struct {
		Metadata struct {
			ID string `json:"KeyId"`
		} `json:"KeyMetadata"`
	}
	if json.Unmarshal(answer.Body.Bytes(), &out) != nil { // there is no such key
		return ""
	}
	return out.Metadata.ID
}

// deployed is a call as a deployment would see it. Every key except the deployment's own is a key of the Org CA, with
// the organisation's tag and a spec that it may have.
func (a iamRequest) deployed(named func(id string) string) iamRequest {
	context := map[string][]string{}
	for key, values := range a.context {
		for _, v := range values {
			if (strings.HasSuffix(key, ":org") || strings.HasSuffix(key, "/mastio:org")) && v == "orga" {
				v = organisation
			}
			context[key] = append(context[key], v)
		}
	}
	a.context = context
	if a.resource == "*" {
		return a
	}
	id := a.resource[strings.LastIndex(a.resource, "/")+1:]
	if name := named(id); name != "" {
		a.resource = name
		return a
	}
	a.resource = "arn:aws:kms:eu-central-1:111111111111:key/*"
	context["aws:ResourceTag/mastio:org"] = []string{organisation}
	if a.action == "kms:Sign" {
		context["kms:KeySpec"] = []string{"ECC_NIST_P256"}
	}
	return a
}
