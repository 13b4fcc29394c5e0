package dpop

import (
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/mastio-aws/mastio/shared/jose"
)

func TestVerifyAcceptsGoJosesProof(t *testing.T) {
	key := newKey(t, elliptic.P256())
	got, err := Verify(goodProof(t, key, claims("nonce", "n-1")), expect())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Key.Equal(&key.PublicKey) || got.JKT != jose.Thumbprint(&key.PublicKey) {
		t.Errorf("key thumbprint = %s, want that of the signing key", got.JKT)
	}
	if got.JTI != "id-1" || got.Nonce != "n-1" || !got.IssuedAt.Equal(now) {
		t.Errorf("proof = %+v, want jti id-1, nonce n-1, issued %v", got, now)
	}
}

// The two proofs printed in RFC 9449, sections 4.1 and 7.1.
func TestVerifyAcceptsTheRFCExamples(t *testing.T) {
	const (
		jkt    = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
		header = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXp" +
			"Da0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMj" +
			"U2In19"
	)
	for _, tc := range []struct {
		name, proof, jti string
		want             Expect
	}{
		{
			"token request",
			header +
				".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia" +
				"WF0IjoxNTYyMjYyNjE2fQ" +
				".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
			"-BwC3ESc6acc2lTc",
			Expect{Method: "POST", URLs: []string{"https://server.example.com/token"}, Now: time.Unix(1562262616, 0)},
		},
		{
			"resource request",
			header +
				".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z" +
				"WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9" +
				".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
			"e1j3V_bKic8-LAEB",
			Expect{
				Method:      "GET",
				URLs:        []string{"https://resource.example.org/protectedresource"},
				Now:         time.Unix(1562262618, 0),
				AccessToken: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Verify(tc.proof, tc.want)
			if err != nil {
				t.Fatal(err)
			}
			if got.JKT != jkt || got.JTI != tc.jti {
				t.Errorf("jkt, jti = %s, %s, want %s, %s", got.JKT, got.JTI, jkt, tc.jti)
			}
		})
	}
}

func TestVerifyAccepts(t *testing.T) {
	key := newKey(t, elliptic.P256())
	wide := expect()
	wide.Window = 10 * time.Minute
	bound := expect()
	bound.AccessToken = "a.b.c"
	for _, tc := range []struct {
		name   string
		claims map[string]any
		want   Expect
	}{
		{"as old as the window", claims("iat", now.Add(-DefaultWindow).Unix()), expect()},
		{"as old as a wider window", claims("iat", now.Add(-10*time.Minute).Unix()), wide},
		{"as far ahead as may be", claims("iat", now.Add(Ahead).Unix()), expect()},
		{"iat with a fraction", claims("iat", float64(now.Unix())-0.5), expect()},
		{"jti of 256 bytes", claims("jti", strings.Repeat("é", 128)), expect()},
		{"unknown claims", claims("iss", "x", "foo", map[string]any{"a": 1}), expect()},
		{"exp to come, nbf past", claims("exp", now.Unix()+1, "nbf", now.Unix()-1), expect()},
		{"ath", claims("ath", tokenHash("a.b.c")), bound},
		{"ath that was not asked for", claims("ath", "x"), expect()},
		{"htu with query and fragment", claims("htu", endpoint+"?a=b#c"), expect()},
		{"htu spelled differently", claims("htu", "HTTPS://Mastio.Example:443/v1/./auth/../%61uth/token"), expect()},
		{"htu is another of the URLs", claims("htu", "https://other.example"), expect()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Verify(goodProof(t, key, tc.claims), tc.want); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyAcceptsUnknownHeaderMembers(t *testing.T) {
	key := newKey(t, elliptic.P256())
	h := header(t, key, "kid", "k", "jku", "https://evil.example/", "foo", []int{1})
	if _, err := Verify(rawProof(t, key, encode(t, h), encode(t, claims())), expect()); err != nil {
		t.Error(err)
	}
}

// A bad proof, and a part of the reason it must be refused for: so that no case passes because of another defect.
type bad struct {
	name, proof, reason string
}

func refuse(t *testing.T, want Expect, cases []bad) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Verify(tc.proof, want)
			if !errors.Is(err, ErrProof) || got != (Proof{}) {
				t.Fatalf("got %+v, %v, want ErrProof", got, err)
			}
			if !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("error = %q, want it to say %q", err, tc.reason)
			}
		})
	}
}

func TestVerifyRefusesBadForm(t *testing.T) {
	key := newKey(t, elliptic.P256())
	good := goodProof(t, key, claims())
	head, rest, _ := strings.Cut(good, ".")
	payload, sig, _ := strings.Cut(rest, ".")
	zeros := func(n int) string { return base64.RawURLEncoding.EncodeToString(make([]byte, n)) }
	refuse(t, expect(), []bad{
		{"nothing", "", "1 parts"},
		{"one part", head, "1 parts"},
		{"two parts", head + "." + payload, "2 parts"},
		{"four parts", good + ".", "4 parts"},
		{"five parts, as a JWE", head + "..." + rest, "5 parts"},
		{"two proofs", good + "," + good, "5 parts"},
		{"JSON serialization", `{"payload":"` + payload + `","protected":"` + head + `","signature":"` + sig + `"}`,
			"1 parts"},
		{"longer than 8 KB", goodProof(t, key, claims("a", strings.Repeat("x", 8<<10))), "longer than"},
		{"space before", " " + good, "header: invalid jws: not base64url"},
		{"line feed after", good + "\n", "signature: invalid jws: not base64url"},
		{"line feed in header", head[:8] + "\n" + head[8:] + "." + rest, "header: invalid jws: not base64url"},
		{"carriage return in payload", head + "." + payload[:8] + "\r" + payload[8:] + "." + sig,
			"payload: invalid jws: not base64url"},
		{"padded signature", good + "==", "signature: invalid jws: not base64url"},
		{"standard alphabet", head + "." + payload + "./+" + sig[2:], "signature: invalid jws: not base64url"},
		{"trailing bits in signature", good[:len(good)-1] + sibling(good), "signature: invalid jws: not canonical"},
		{"empty signature", head + "." + payload + ".", "signature of 0 bytes"},
		{"signature of 63 bytes", head + "." + payload + "." + zeros(63), "signature of 63 bytes"},
		{"signature of 65 bytes", head + "." + payload + "." + zeros(65), "signature of 65 bytes"},
		{"signature in ASN.1", head + "." + payload + "." + zeros(72), "signature of 72 bytes"},
		{"signature of zeros", head + "." + payload + "." + zeros(64), "signature does not verify"},
		{"payload of another proof", head + "." + strings.Split(goodProof(t, key, claims("jti", "b")), ".")[1] + "." + sig,
			"signature does not verify"},
		{"header of another key", strings.Split(goodProof(t, newKey(t, elliptic.P256()), claims()), ".")[0] + "." + rest,
			"signature does not verify"},
		{"empty header", rawProof(t, key, ``, encode(t, claims())), "header: invalid jws: not a JSON object"},
		{"header null", rawProof(t, key, `null`, encode(t, claims())), "header: invalid jws: not a JSON object"},
		{"header array", rawProof(t, key, `[]`, encode(t, claims())), "header: invalid jws: not a JSON object"},
		{"payload null", rawProof(t, key, encode(t, header(t, key)), `null`), "claims: invalid jws: not a JSON object"},
		{"payload text", rawProof(t, key, encode(t, header(t, key)), `foo`), "claims: invalid jws: not a JSON object"},
		{"empty payload", rawProof(t, key, encode(t, header(t, key)), ``), "claims: invalid jws: not a JSON object"},
		{"payload with more after", rawProof(t, key, encode(t, header(t, key)), encode(t, claims())+"{}"),
			"claims: invalid jws: not a JSON object"},
		{"payload not UTF-8", rawProof(t, key, encode(t, header(t, key)), "{\"jti\":\"\xff\"}"), "not UTF-8"},
	})
}

// sibling is a last character that differs from that of s only in a bit which base64url must leave zero.
func sibling(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, s[len(s)-1])^1:][:1]
}

func TestVerifyRefusesBadHeader(t *testing.T) {
	key, p384 := newKey(t, elliptic.P256()), newKey(t, elliptic.P384())
	with := func(changes ...any) string {
		return rawProof(t, key, encode(t, header(t, key, changes...)), encode(t, claims()))
	}
	withJWK := func(changes ...any) string { return with("jwk", publicJWK(t, &key.PublicKey, changes...)) }
	doubled := func(member string) string {
		return rawProof(t, key, strings.TrimSuffix(encode(t, header(t, key)), "}")+","+member+"}", encode(t, claims()))
	}
	x := publicJWK(t, &key.PublicKey)["x"].(string)
	refuse(t, expect(), []bad{
		{"typ missing", with("typ", nil), "typ is not"},
		{"typ JWT", with("typ", "JWT"), "typ is not"},
		{"typ at+jwt", with("typ", "at+jwt"), "typ is not"},
		{"typ in capitals", with("typ", "DPoP+JWT"), "typ is not"},
		{"typ with its tree", with("typ", "application/dpop+jwt"), "typ is not"},
		{"typ array", with("typ", []string{"dpop+jwt"}), "typ is not"},
		{"alg missing", with("alg", nil), "alg is not"},
		{"alg none", with("alg", "none"), "alg is not"},
		{"alg HS256", with("alg", "HS256"), "alg is not"},
		{"alg RS256", with("alg", "RS256"), "alg is not"},
		{"alg ES384", with("alg", "ES384"), "alg is not"},
		{"alg in lower case", with("alg", "es256"), "alg is not"},
		{"crit", with("crit", []string{"foo"}, "foo", 1), "crit is not supported"},
		{"b64", with("crit", []string{"b64"}, "b64", false), "crit is not supported"},
		{"b64 alone", with("b64", false), "b64 is not supported"},
		{"duplicate typ", doubled(`"typ":"dpop+jwt"`), "duplicate member"},
		{"duplicate alg, escaped", doubled(`"a\u006cg":"ES256"`), "duplicate member"},
		{"duplicate jwk", doubled(`"jwk":` + encode(t, publicJWK(t, &key.PublicKey))), "duplicate member"},
		{"jwk missing", with("jwk", nil), "invalid jwk: invalid jws: not a JSON object"},
		{"jwk null", with("jwk", jsonNull{}), "invalid jwk"},
		{"jwk by reference", with("jwk", nil, "kid", "k", "jku", "https://evil.example/"), "invalid jwk"},
		{"jwk private", with("jwk", publicJWK(t, key)), "private key"},
		{"jwk symmetric", with("jwk", map[string]any{"kty": "oct", "k": "AAAA"}), "kty is not EC"},
		{"jwk P-384", with("jwk", publicJWK(t, &p384.PublicKey)), "crv is not P-256"},
		{"jwk for encryption", withJWK("use", "enc"), "use is not sig"},
		{"jwk for another alg", withJWK("alg", "ES384"), "alg is not ES256"},
		{"jwk for other operations", withJWK("key_ops", []string{"deriveKey"}), "key_ops"},
		{"jwk x spelled with a line break", withJWK("x", x[:5]+"\n"+x[5:]), "x: invalid jws: not base64url"},
		{"jwk x padded", withJWK("x", x+"="), "x: invalid jws: not base64url"},
		{"jwk x with trailing bits", withJWK("x", x[:42]+sibling(x)), "x: invalid jws: not canonical"},
		{"jwk x of 33 octets", withJWK("x", longer(t, x)), "x has 33 octets"},
		{"kid no string", with("kid", 7), "kid is not a string"},
		{"jwk off the curve", withJWK("x", strings.Repeat("A", 43)), "not on the curve"},
	})
}

type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// longer is a coordinate with a zero octet before it.
func longer(t *testing.T, coordinate string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(coordinate)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte{0}, b...))
}

func TestVerifyRefusesBadClaims(t *testing.T) {
	key := newKey(t, elliptic.P256())
	with := func(changes ...any) string { return goodProof(t, key, claims(changes...)) }
	doubled := func(member string) string {
		return rawProof(t, key, encode(t, header(t, key)), strings.TrimSuffix(encode(t, claims()), "}")+","+member+"}")
	}
	refuse(t, expect(), []bad{
		{"htm missing", with("htm", nil), "htm is not"},
		{"htm another", with("htm", "GET"), "htm is not"},
		{"htm in lower case", with("htm", "post"), "htm is not"},
		{"htm no string", with("htm", []string{"POST"}), "htm is not a string"},
		{"htu missing", with("htu", nil), "htu is not"},
		{"htu empty", with("htu", ""), "htu is not"},
		{"htu no string", with("htu", 1), "htu is not a string"},
		{"htu of another host", with("htu", "https://evil.example/v1/auth/token"), "htu is not"},
		{"htu of another scheme", with("htu", "http://mastio.example/v1/auth/token"), "htu is not"},
		{"htu of another port", with("htu", "https://mastio.example:8443/v1/auth/token"), "htu is not"},
		{"htu of another path", with("htu", endpoint+"/"), "htu is not"},
		{"htu path in capitals", with("htu", "https://mastio.example/V1/auth/token"), "htu is not"},
		{"htu relative", with("htu", "/v1/auth/token"), "htu is not"},
		{"htu without scheme", with("htu", "//mastio.example/v1/auth/token"), "htu is not"},
		{"htu with user", with("htu", "https://a@mastio.example/v1/auth/token"), "htu is not"},
		{"htu a prefix", with("htu", "https://mastio.example/v1/auth"), "htu is not"},
		{"iat missing", with("iat", nil), "iat is missing"},
		{"iat text", with("iat", "1800000000"), "iat is not a date"},
		{"iat null", with("iat", jsonNull{}), "iat is not a date"},
		{"iat too old", with("iat", now.Add(-DefaultWindow).Unix()-1),
			"iat is too old, 61 s behind this server's clock, at most 60 are allowed"},
		{"iat in the future", with("iat", now.Add(Ahead).Unix()+1),
			"iat is in the future, 11 s ahead of this server's clock, at most 10 are allowed"},
		{"iat in milliseconds", with("iat", now.UnixMilli()), "iat is not a date"},
		{"iat negative", with("iat", -1), "iat is not a date"},
		{"exp past", with("exp", now.Unix()), "exp has passed"},
		{"exp text", with("exp", "x"), "exp is not a date"},
		{"nbf to come", with("nbf", now.Add(Ahead).Unix()+1), "nbf is in the future"},
		{"nbf array", with("nbf", []int{1}), "nbf is not a date"},
		{"jti missing", with("jti", nil), "jti is not of 1 to 256"},
		{"jti empty", with("jti", ""), "jti is not of 1 to 256"},
		{"jti of 257 bytes", with("jti", strings.Repeat("é", 128)+"x"), "jti is not of 1 to 256"},
		{"jti number", with("jti", 7), "jti is not a string"},
		{"nonce number", with("nonce", 7), "nonce is not a string"},
		{"ath number", with("ath", 7), "ath is not a string"},
		{"duplicate jti", doubled(`"jti":"id-2"`), "duplicate member"},
		{"duplicate htu, escaped", doubled(`"\u0068tu":"x"`), "duplicate member"},
		{"duplicate in a nested object", doubled(`"a":[{"b":1,"b":2}]`), "duplicate member"},
	})
}

func TestVerifyRefusesOtherRequests(t *testing.T) {
	proof := goodProof(t, newKey(t, elliptic.P256()), claims("ath", tokenHash("a.b.c")))
	for name, change := range map[string]func(*Expect){
		"another method":       func(e *Expect) { e.Method = "GET" },
		"no method":            func(e *Expect) { e.Method = "" },
		"another URL":          func(e *Expect) { e.URLs = []string{"https://mastio.example/v1/agent/renew"} },
		"no URL":               func(e *Expect) { e.URLs = nil },
		"a URL that is none":   func(e *Expect) { e.URLs = []string{"", "%", "mastio.example"} },
		"another access token": func(e *Expect) { e.AccessToken = "a.b.d" },
		"later":                func(e *Expect) { e.Now = now.Add(DefaultWindow + time.Nanosecond) },
		"earlier":              func(e *Expect) { e.Now = now.Add(-Ahead - time.Nanosecond) },
		"a narrower window":    func(e *Expect) { e.Window, e.Now = time.Second, now.Add(2*time.Second) },
	} {
		want := expect()
		change(&want)
		if _, err := Verify(proof, want); !errors.Is(err, ErrProof) {
			t.Errorf("%s: error = %v, want ErrProof", name, err)
		}
	}
	want := expect()
	want.AccessToken = "a.b.c"
	if _, err := Verify(goodProof(t, newKey(t, elliptic.P256()), claims()), want); !errors.Is(err, ErrProof) {
		t.Errorf("no ath: error = %v, want ErrProof", err)
	}
	want = expect()
	want.Method = ""
	if _, err := Verify(goodProof(t, newKey(t, elliptic.P256()), claims("htm", nil)), want); !errors.Is(err, ErrProof) {
		t.Errorf("neither htm nor a method to compare it with: error = %v, want ErrProof", err)
	}
}

// Both spellings of a signature are accepted. They are one proof to a server that remembers JKT and JTI.
func TestOtherSIsTheSameProof(t *testing.T) {
	proof := goodProof(t, newKey(t, elliptic.P256()), claims())
	cut := strings.LastIndexByte(proof, '.') + 1
	sig, err := base64.RawURLEncoding.DecodeString(proof[cut:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	first, err := Verify(proof, expect())
	if err != nil {
		t.Fatal(err)
	}
	second, err := Verify(proof[:cut]+base64.RawURLEncoding.EncodeToString(sig), expect())
	if err != nil {
		t.Fatal(err)
	}
	if first.JKT != second.JKT || first.JTI != second.JTI {
		t.Errorf("second spelling is %s %s, want %s %s", second.JKT, second.JTI, first.JKT, first.JTI)
	}
}

func TestReplayUntilOutlivesAcceptance(t *testing.T) {
	key := newKey(t, elliptic.P256())
	for _, iat := range []float64{float64(now.Unix()), float64(now.Unix()) + 0.75, float64(now.Unix()) + 10} {
		for _, window := range []time.Duration{0, time.Second, 1500 * time.Millisecond, 5 * time.Minute} {
			proof := goodProof(t, key, claims("iat", iat))
			want := expect()
			want.Window = window
			p, err := Verify(proof, want)
			if err != nil {
				t.Fatal(err)
			}
			until := p.ReplayUntil(window)
			if until.Nanosecond() != 0 {
				t.Errorf("until %v, want a whole second", until)
			}
			want.Now = until
			if _, err := Verify(proof, want); err == nil {
				t.Errorf("iat %v, window %v: still accepted at %v, when it may be forgotten", iat, window, until)
			}
			want.Now = until.Add(-2*time.Second - time.Millisecond)
			if _, err := Verify(proof, want); window != time.Second && err != nil {
				t.Errorf("iat %v, window %v: remembered too long after %v: %v", iat, window, want.Now, err)
			}
		}
	}
}

func TestFromHeader(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values []string
		want   error
	}{
		{"nil", nil, ErrMissing},
		{"none", []string{}, ErrMissing},
		{"one", []string{"a.b.c"}, nil},
		{"empty", []string{""}, ErrProof},
		{"two lines", []string{"a.b.c", "a.b.c"}, ErrProof},
		{"two empty lines", []string{"", ""}, ErrProof},
		{"joined", []string{"a.b.c, d.e.f"}, ErrProof},
		{"joined with nothing", []string{"a.b.c,"}, ErrProof},
	} {
		got, err := FromHeader(tc.values)
		if !errors.Is(err, tc.want) || (err == nil) != (got == "a.b.c") {
			t.Errorf("%s: got %q, %v, want error %v", tc.name, got, err, tc.want)
		}
	}
}

// FuzzVerify holds that whatever is accepted is accepted by go-jose too, under the key that the thumbprint names.
func FuzzVerify(f *testing.F) {
	key := newKey(f, elliptic.P256())
	good := goodProof(f, key, claims())
	for _, seed := range []string{
		good, "", "..", good + "\n", good[:40] + "\n" + good[40:],
		goodProof(f, key, claims("htu", "HTTPS://MASTIO.example:443/%76%31/auth/./token?x#y")),
		rawProof(f, key, encode(f, header(f, key, "crit", []string{"b64"}, "b64", false)), encode(f, claims())),
		rawProof(f, key, encode(f, header(f, key, "alg", "none")), encode(f, claims())),
		rawProof(f, key, `{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"","y":""}}`, `{}`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		got, err := Verify(proof, expect())
		if err != nil {
			if !errors.Is(err, ErrProof) || got != (Proof{}) {
				t.Fatalf("got %+v, %v, want ErrProof", got, err)
			}
			return
		}
		parsed, err := gojose.ParseSignedCompact(proof, []gojose.SignatureAlgorithm{gojose.ES256})
		if err != nil {
			t.Fatalf("go-jose: %v", err)
		}
		if _, err := parsed.Verify(got.Key); err != nil {
			t.Fatalf("go-jose: %v", err)
		}
		if got.JKT != jose.Thumbprint(got.Key) || got.JTI == "" {
			t.Fatalf("proof = %+v", got)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	proof, want := goodProof(b, newKey(b, elliptic.P256()), claims()), expect()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(proof, want); err != nil {
			b.Fatal(err)
		}
	}
}

// With a fresh nonce of the server the client's clock may be off by minutes, and the proof is still good once: it is
// remembered for as long as its nonce may be fresh. Without one, or with a stale one, the window is the usual one.
func TestFreshNonceRelaxesTheClock(t *testing.T) {
	key, n := newKey(t, elliptic.P256()), nonces(t, 1)
	at := func(offset time.Duration, nonce string, fresh func(string) bool) error {
		want := expect()
		want.Fresh = fresh
		proof := goodProof(t, key, claims("iat", now.Add(offset).Unix(), "nonce", nonce))
		p, err := Verify(proof, want)
		if err != nil {
			return err
		}
		for later := time.Duration(0); later < time.Hour; later += time.Minute {
			want.Now = now.Add(later)
			want.Fresh = func(nonce string) bool { return fresh != nil && n.Check(nonce, want.Now) == nil }
			if _, err := Verify(proof, want); err == nil && !want.Now.Before(p.ReplayUntil(0)) {
				t.Errorf("offset %s: accepted %s later, remembered until %s", offset, later, p.ReplayUntil(0))
			}
		}
		return nil
	}
	fresh := func(later *time.Time) func(string) bool {
		return func(nonce string) bool { return n.Check(nonce, *later) == nil }
	}
	present, stale := now, now.Add(time.Hour)
	for _, c := range []struct {
		name   string
		offset time.Duration
		nonce  string
		fresh  func(string) bool
		want   error
	}{
		{"5 minutes behind", -5 * time.Minute, n.Issue(now), fresh(&present), nil},
		{"5 minutes ahead", 5 * time.Minute, n.Issue(now), fresh(&present), nil},
		{"10 minutes ahead", Offset, n.Issue(now), fresh(&present), nil},
		{"10 minutes and a second ahead", Offset + time.Second, n.Issue(now), fresh(&present), ErrClock},
		{"10 minutes and a second behind", -Offset - time.Second, n.Issue(now), fresh(&present), ErrClock},
		{"stale nonce", 5 * time.Minute, n.Issue(now), fresh(&stale), ErrClock},
		{"invented nonce", 5 * time.Minute, "invented", fresh(&present), ErrClock},
		{"no check of the nonce", 5 * time.Minute, n.Issue(now), nil, ErrClock},
	} {
		if err := at(c.offset, c.nonce, c.fresh); !errors.Is(err, c.want) || c.want != nil && !errors.Is(err, ErrProof) {
			t.Errorf("%s: error = %v, want %v", c.name, err, c.want)
		}
	}
}
