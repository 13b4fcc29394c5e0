package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func lifeOf(d time.Duration) func(*boot.Parts) { return func(p *boot.Parts) { p.TokenLife = d } }

func TestTokenLife(t *testing.T) {
	for _, c := range []struct{ set, want time.Duration }{
		{0, 5 * time.Minute}, {time.Minute, time.Minute}, {5 * time.Minute, 5 * time.Minute}, {time.Hour, time.Hour},
	} {
		w := open(t, memstore.Config{}, lifeOf(c.set))
		server, agent := w.resourceServer(t), w.enrol(t, "kyc")
		var got tokenAnswer
		w.send(t, tokenRequest(agent.CertPEM)).into(t, http.StatusOK, &got)
		claims := w.verified(t, got.AccessToken, inmemory.Issuer)
		if life := claims.Expires.Sub(claims.IssuedAt); life != c.want || got.ExpiresIn != int64(c.want/time.Second) {
			t.Errorf("set to %v: life %v, expires_in %d, want %v", c.set, life, got.ExpiresIn, c.want)
		}
		w.Advance(c.want - time.Second)
		if !w.active(t, server, got.AccessToken) {
			t.Errorf("set to %v: dead a second before its end", c.set)
		}
		w.Advance(time.Second)
		if w.active(t, server, got.AccessToken) {
			t.Errorf("set to %v: lives longer", c.set)
		}
		var health map[string]any
		w.send(t, event("GET", "/healthz")).into(t, http.StatusOK, &health)
		shown, there := health["token_ttl_seconds"]
		if long := c.want > 5*time.Minute; there != long || long && shown != c.want.Seconds() {
			t.Errorf("set to %v: /healthz shows token_ttl_seconds %v", c.set, shown)
		}
	}
}

// kids are the ids of the keys in the JWKS.
func (w *world) kids(t testing.TB) (ids []string) {
	t.Helper()
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	w.send(t, event("GET", "/.well-known/jwks.json")).into(t, http.StatusOK, &set)
	for _, k := range set.Keys {
		ids = append(ids, k.KID)
	}
	return ids
}

// The setting is lowered a moment after a token of the longest life, the last one of its key, was issued: the token
// lives on, and its key stays published for longer than the token.
func TestLoweredTokenLifeEndsNoToken(t *testing.T) {
	w := open(t, memstore.Config{}, lifeOf(time.Hour))
	server, agent := w.resourceServer(t), w.enrol(t, "kyc")
	_, end := accesstoken.SignWindow(accesstoken.Epoch(w.Now()))
	w.Advance(end.Add(-time.Second).Sub(w.Now()))
	token := w.tokenFor(t, agent, nil)
	var header struct {
		KID string `json:"kid"`
	}
	first, _, _ := strings.Cut(token, ".")
	if text, err := base64.RawURLEncoding.DecodeString(first); err != nil || json.Unmarshal(text, &header) != nil {
		t.Fatalf("the token's header: %v", err)
	}
	w.Parts.TokenLife = time.Minute
	w.restart(t)
	var short tokenAnswer
	w.send(t, tokenRequest(agent.CertPEM)).into(t, http.StatusOK, &short)
	if short.ExpiresIn != 60 {
		t.Fatalf("expires_in = %d after the setting was lowered", short.ExpiresIn)
	}
	w.Advance(time.Hour - time.Second)
	if a := w.send(t, me(agent.CertPEM, "Bearer", token)); a.status != http.StatusOK {
		t.Errorf("the earlier token a second before its end: %d %s", a.status, a.body)
	}
	if !w.active(t, server, token) {
		t.Error("the earlier token is inactive a second before its end")
	}
	w.Advance(4 * time.Minute)
	w.restart(t)
	if !slices.Contains(w.kids(t), header.KID) {
		t.Error("the key left the JWKS with its last token: a reader whose clock is behind needs it")
	}
	w.Advance(2 * time.Minute)
	if slices.Contains(w.kids(t), header.KID) {
		t.Error("the key stays in the JWKS")
	}
}

// An earlier release has stored the day's key, to be published for 300 s after it: no token outlives that.
func TestNoTokenOutlivesItsKey(t *testing.T) {
	w := open(t, memstore.Config{}, lifeOf(time.Hour))
	agent := w.enrol(t, "kyc")
	epoch := accesstoken.Epoch(w.Now()) + 3
	begin, end := accesstoken.SignWindow(epoch)
	apart := memstore.New(memstore.Config{})
	ring := token.NewRing(token.RingConfig{Store: apart, Vault: w.Keys, OrgID: inmemory.OrgID})
	if _, err := ring.Signing(t.Context(), begin); err != nil {
		t.Fatal(err)
	}
	stored, err := apart.TokenKey(t.Context(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	early := *stored
	early.Expires = end.Add(5 * time.Minute)
	if err := w.Store.PutTokenKey(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	w.Advance(end.Add(-time.Minute).Sub(w.Now()))
	var got tokenAnswer
	w.send(t, tokenRequest(agent.CertPEM)).into(t, http.StatusOK, &got)
	claims := w.verified(t, got.AccessToken, inmemory.Issuer)
	if !claims.Expires.Equal(early.Expires) || got.ExpiresIn != 360 {
		t.Errorf("the token ends at %v, expires_in %d; its key leaves the JWKS at %v", claims.Expires, got.ExpiresIn,
			early.Expires)
	}
}
