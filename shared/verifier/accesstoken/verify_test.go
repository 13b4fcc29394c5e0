package accesstoken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"time"
)

// A refused token, and a part of the reason it must be refused for: so that no case passes because of another defect.
type refusal struct {
	name, token, reason string
}

func TestVerifyRefuses(t *testing.T) {
	key, p384 := newKey(t, elliptic.P256()), newKey(t, elliptic.P384())
	with := func(changes ...any) string { return foreign(t, key, "at+jwt", "k1", wire(changes...)) }
	cnf := func(changes ...any) string {
		c := map[string]any{"x5t#S256": hash("certificate")}
		for i := 0; i < len(changes); i += 2 {
			c[changes[i].(string)] = changes[i+1]
		}
		return with("cnf", c)
	}
	good := with()
	head, rest, _ := strings.Cut(good, ".")
	payload, sig, _ := strings.Cut(rest, ".")
	other := strings.Split(with("sub", "acme::other"), ".")
	for _, tc := range []refusal{
		{"nothing", "", "1 parts"},
		{"unsigned", head + "." + payload + ".", "signature of 0 bytes"},
		{"payload of another token", head + "." + other[1] + "." + sig, "signature does not verify"},
		{"signature of another token", head + "." + payload + "." + other[2], "signature does not verify"},
		{"line feed", good + "\n", "not base64url"},
		{"signed by another key", foreign(t, newKey(t, elliptic.P256()), "at+jwt", "k1", wire()),
			"signature does not verify"},
		{"ES384", foreign(t, p384, "at+jwt", "k1", wire()), "alg is not ES256"},
		{"typ JWT", foreign(t, key, "JWT", "k1", wire()), "typ is not"},
		{"typ dpop+jwt", foreign(t, key, "dpop+jwt", "k1", wire()), "typ is not"},
		{"typ with its tree", foreign(t, key, "application/at+jwt", "k1", wire()), "typ is not"},
		{"no kid", foreign(t, key, "at+jwt", "", wire()), "kid is missing"},
		{"unknown kid", foreign(t, key, "at+jwt", "k2", wire()), "kid is unknown"},
		{"no iss", with("iss", nil), "iss is missing"},
		{"another iss", with("iss", issuer+"/"), "another issuer"},
		{"no sub", with("sub", nil), "sub is missing"},
		{"sub number", with("sub", 1), "sub is not a string"},
		{"no aud", with("aud", nil), "aud is missing"},
		{"another aud", with("aud", []string{"urn:other"}), "another audience"},
		{"aud a bare string", with("aud", audience), "aud is not an array"},
		{"no client_id", with("client_id", nil), "client_id is missing"},
		{"no jti", with("jti", nil), "jti is missing"},
		{"no iat", with("iat", nil), "iat and exp"},
		{"iat in the future", with("iat", now.Unix()+6), "iat is in the future"},
		{"nbf in the future", with("nbf", now.Unix()+6), "nbf is in the future"},
		{"no exp", with("exp", nil), "iat and exp"},
		{"exp text", with("exp", "1900000000"), "exp is not a date"},
		{"no cnf", with("cnf", nil), "cnf"},
		{"cnf text", with("cnf", "x"), "cnf"},
		{"no certificate", with("cnf", map[string]any{"jkt": hash("key")}), "x5t#S256"},
		{"x5t not a hash", cnf("x5t#S256", "AAAA"), "x5t#S256"},
		{"jkt not a hash", cnf("jkt", "AAAA"), "jkt"},
		{"jkt number", cnf("jkt", 1), "jkt is not a string"},
		{"capabilities text", with("capabilities", "all"), "capabilities is not an array"},
		{"generation text", with("generation", "7"), "generation is not an integer"},
		{"generation fraction", with("generation", 7.5), "generation is not an integer"},
		{"generation negative", with("generation", -1), "generation is negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Verify(tc.token, only(&key.PublicKey), now, issuer, audience)
			if !errors.Is(err, ErrToken) || got.Subject != "" {
				t.Fatalf("got %+v, %v, want ErrToken", got, err)
			}
			if errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("error = %q, want it to say %q", err, tc.reason)
			}
		})
	}
}

func TestVerifyTakesKeysFromTheCallerOnly(t *testing.T) {
	key := newKey(t, elliptic.P256())
	token := sign(t, full(), key)
	var asked []string
	_, err := Verify(token, func(kid string) *ecdsa.PublicKey { asked = append(asked, kid); return nil }, now, issuer,
		audience)
	if !errors.Is(err, ErrToken) || len(asked) != 1 || asked[0] != "k1" {
		t.Errorf("error = %v after asking for %q, want ErrToken after k1", err, asked)
	}
}

func TestVerifyAtTheEdgesOfTime(t *testing.T) {
	key := newKey(t, elliptic.P256())
	token := sign(t, least(), key) // from now to now + 5 minutes
	for _, tc := range []struct {
		at   time.Time
		want error
	}{
		{now.Add(-Skew - time.Nanosecond), ErrToken},
		{now.Add(-Skew), nil},
		{now, nil},
		{now.Add(5*time.Minute - time.Nanosecond), nil},
		{now.Add(5 * time.Minute), ErrExpired},
		{now.Add(time.Hour), ErrExpired},
	} {
		_, err := Verify(token, only(&key.PublicKey), tc.at, issuer, audience)
		if !errors.Is(err, tc.want) || (err != nil && !errors.Is(err, ErrToken)) {
			t.Errorf("at %v: error = %v, want %v", tc.at, err, tc.want)
		}
	}
}

// Every single changed character must be noticed: none of them is outside the signature or spelled freely.
func TestVerifyNoticesEveryChangedCharacter(t *testing.T) {
	key := newKey(t, elliptic.P256())
	token := sign(t, least(), key)
	for i := range token {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		if _, err := Verify(token[:i]+string(c)+token[i+1:], only(&key.PublicKey), now, issuer, audience); !errors.Is(err,
			ErrToken) {
			t.Errorf("character %d changed: error = %v, want ErrToken", i, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	key := newKey(f, elliptic.P256())
	good := sign(f, full(), key)
	for _, seed := range []string{good, "", "..", good + "\n", foreign(f, key, "JWT", "k1", wire()),
		foreign(f, key, "at+jwt", "k1", wire("cnf", "x"))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := Verify(token, only(&key.PublicKey), now, issuer, audience)
		if err != nil {
			if !errors.Is(err, ErrToken) {
				t.Fatalf("error = %v, want ErrToken", err)
			}
			return
		}
		if token != good || c.Subject != "acme::bot" {
			t.Fatalf("accepted %q, which was never signed", token)
		}
	})
}
