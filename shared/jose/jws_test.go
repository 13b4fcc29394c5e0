package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// raw writes a JWS with a header and payload of one's choice, without any library.
func raw(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	sig, err := signES256(key, input)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

func TestSignThenVerify(t *testing.T) {
	key := newKey(t, elliptic.P256())
	compact, err := Sign("test+jwt", "k1", map[string]any{"a": "b"}, key)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(compact)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"typ": "test+jwt", "kid": "k1", "alg": "ES256"} {
		if got, err := m.Header.Text(name); err != nil || got != want {
			t.Errorf("header %s = %q, %v, want %q", name, got, err, want)
		}
	}
	claims, err := m.Claims(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := claims.Text("a"); got != "b" {
		t.Errorf("claim a = %q, want b", got)
	}
}

// What is signed here has, up to the signature, the octets that go-jose writes, and go-jose verifies it.
func TestSignAgreesWithGoJose(t *testing.T) {
	key := newKey(t, elliptic.P256())
	for _, kid := range []string{"", "k1", `"<&>+/=é`} {
		compact, err := Sign("dpop+jwt", kid, map[string]any{"a": "<b>", "n": 1}, key)
		if err != nil {
			t.Fatal(err)
		}
		message, err := gojose.ParseSignedCompact(compact, []gojose.SignatureAlgorithm{gojose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := message.Verify(&key.PublicKey)
		if err != nil {
			t.Errorf("kid %q: go-jose does not verify it: %v", kid, err)
		}
		s, err := gojose.NewSigner(gojose.SigningKey{
			Algorithm: gojose.ES256,
			Key:       gojose.JSONWebKey{Key: key, KeyID: kid},
		}, new(gojose.SignerOptions).WithType("dpop+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		want, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		cut := strings.LastIndexByte(compact, '.')
		if compact[:cut] != want[:cut] {
			t.Errorf("kid %q: wrote %s, go-jose %s", kid, compact[:cut], want[:cut])
		}
		if err := open(want, &key.PublicKey); err != nil {
			t.Errorf("kid %q: what go-jose signed does not verify: %v", kid, err)
		}
	}
}

// A message that is not signed with ES256 never verifies with a P-256 key, whatever its signature is.
func TestVerifyRefusesOtherAlgorithms(t *testing.T) {
	key := newKey(t, elliptic.P256())
	m, err := ParseLimited(raw(t, key, `{"alg":"RS256"}`, `{}`), MaxSize, Algorithm, RS256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Verify(&key.PublicKey); !errors.Is(err, ErrInvalid) {
		t.Errorf("Verify: %v, want ErrInvalid", err)
	}
	if _, err := m.ClaimsBy(&key.PublicKey); !errors.Is(err, ErrInvalid) {
		t.Errorf("ClaimsBy: %v, want ErrInvalid", err)
	}
}

func TestVerifyRefusesOtherKeys(t *testing.T) {
	key := newKey(t, elliptic.P256())
	m, err := Parse(raw(t, key, `{"alg":"ES256"}`, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	other, p384 := newKey(t, elliptic.P256()), newKey(t, elliptic.P384())
	for name, k := range map[string]*ecdsa.PublicKey{"other": &other.PublicKey, "P-384": &p384.PublicKey, "nil": nil} {
		if _, err := m.Verify(k); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s key: error = %v, want ErrInvalid", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	key := newKey(t, elliptic.P256())
	good := raw(t, key, `{"alg":"ES256"}`, `{}`)
	if err := open(good, &key.PublicKey); err != nil {
		t.Fatalf("good message: %v", err)
	}
	header, rest, _ := strings.Cut(good, ".")
	payload, sig, _ := strings.Cut(rest, ".")
	for _, tc := range []struct{ name, compact string }{
		{"nothing", ""},
		{"two parts", header + "." + payload},
		{"four parts", good + "."},
		{"JSON serialization", `{"payload":"` + payload + `","protected":"` + header + `","signature":"` + sig + `"}`},
		{"too long", raw(t, key, `{"alg":"ES256"}`, strings.Repeat(" ", MaxSize))},
		{"line feed in header", header[:4] + "\n" + header[4:] + "." + rest},
		{"carriage return in payload", header + "." + payload[:1] + "\r" + payload[1:] + "." + sig},
		{"line feed in signature", good + "\n"},
		{"space before", " " + good},
		{"padding", header + "." + rest + "=="},
		{"standard alphabet", header + "." + payload + ".+/" + sig[2:]},
		{"trailing bits in signature", good[:len(good)-1] + next(good[len(good)-1])},
		{"trailing bits in payload", header + "." + payload[:len(payload)-1] + next(payload[len(payload)-1]) + "." + sig},
		{"signature too short", header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 63))},
		{"signature too long", header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 65))},
		{"signature in ASN.1", header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 71))},
		{"no signature", header + "." + payload + "."},
		{"header no JSON", raw(t, key, `alg`, `{}`)},
		{"header null", raw(t, key, `null`, `{}`)},
		{"header array", raw(t, key, `["alg","ES256"]`, `{}`)},
		{"header with more after", raw(t, key, `{"alg":"ES256"} {}`, `{}`)},
		{"duplicate alg", raw(t, key, `{"alg":"none","alg":"ES256"}`, `{}`)},
		{"duplicate alg, escaped", raw(t, key, `{"alg":"ES256","\u0061lg":"ES256"}`, `{}`)},
		{"duplicate within a member", raw(t, key, `{"alg":"ES256","x":{"a":1,"a":2}}`, `{}`)},
		{"alg missing", raw(t, key, `{"typ":"JWT"}`, `{}`)},
		{"alg in capitals", raw(t, key, `{"ALG":"ES256"}`, `{}`)},
		{"alg none", raw(t, key, `{"alg":"none"}`, `{}`)},
		{"alg ES384", raw(t, key, `{"alg":"ES384"}`, `{}`)},
		{"alg HS256", raw(t, key, `{"alg":"HS256"}`, `{}`)},
		{"alg no string", raw(t, key, `{"alg":["ES256"]}`, `{}`)},
		{"crit", raw(t, key, `{"alg":"ES256","crit":["exp"],"exp":1}`, `{}`)},
		{"crit empty", raw(t, key, `{"alg":"ES256","crit":[]}`, `{}`)},
		{"b64 with crit", raw(t, key, `{"alg":"ES256","crit":["b64"],"b64":false}`, `{}`)},
		{"b64 without crit", raw(t, key, `{"alg":"ES256","b64":false}`, `{}`)},
		{"b64 true", raw(t, key, `{"alg":"ES256","b64":true}`, `{}`)},
		{"kid no string", raw(t, key, `{"alg":"ES256","kid":7}`, `{}`)},
		{"typ null", raw(t, key, `{"alg":"ES256","typ":null}`, `{}`)},
		{"cty an object", raw(t, key, `{"alg":"ES256","cty":{}}`, `{}`)},
		{"header not UTF-8", raw(t, key, "{\"alg\":\"ES256\",\"a\":\"\xff\"}", `{}`)},
		{"nested too deeply", raw(t, key, `{"alg":"ES256","a":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`}`, `{}`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Parse(tc.compact); !errors.Is(err, ErrInvalid) {
				t.Errorf("error = %v, want ErrInvalid", err)
			}
		})
	}
}

// next is a base64url character with the same leading bits as c but another last one.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1:][:1]
}

func TestHighAndLowSBothVerify(t *testing.T) {
	key := newKey(t, elliptic.P256())
	good := raw(t, key, `{"alg":"ES256"}`, `{}`)
	cut := strings.LastIndexByte(good, '.') + 1
	sig, err := Decode(good[cut:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	if err := open(good[:cut]+base64.RawURLEncoding.EncodeToString(sig), &key.PublicKey); err != nil {
		t.Errorf("the other s: %v, want it accepted", err)
	}
}

func TestClaimsMustBeAnObject(t *testing.T) {
	key := newKey(t, elliptic.P256())
	for _, payload := range []string{``, `1`, `null`, `[]`, `"x"`, `{`, `{"a":1,"a":1}`, `{"a":1},`, "{\"a\":\"\xc3\"}"} {
		m, err := Parse(raw(t, key, `{"alg":"ES256"}`, payload))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Claims(&key.PublicKey); !errors.Is(err, ErrInvalid) {
			t.Errorf("payload %q: error = %v, want ErrInvalid", payload, err)
		}
	}
}

// oddSigner answers what the test sets.
type oddSigner struct {
	pub    crypto.PublicKey
	answer []byte
	err    error
}

func (s oddSigner) Public() crypto.PublicKey { return s.pub }

func (s oddSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.answer, s.err }

func TestSignRefusesOddSigners(t *testing.T) {
	pub := &newKey(t, elliptic.P256()).PublicKey
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, order := big.NewInt(1), elliptic.P256().Params().N
	refused := errors.New("refused")
	if _, err := Sign("t", "k", struct{}{}, oddSigner{pub: pub, err: refused}); !errors.Is(err, refused) {
		t.Errorf("refusing signer: error = %v, want it wrapped", err)
	}
	for name, s := range map[string]crypto.Signer{
		"none":          nil,
		"P-384 key":     newKey(t, elliptic.P384()),
		"not a key":     oddSigner{pub: "x", answer: der(one, one)},
		"no ASN.1":      oddSigner{pub: pub, answer: make([]byte, 64)},
		"empty":         oddSigner{pub: pub},
		"more after":    oddSigner{pub: pub, answer: append(der(one, one), 0)},
		"r zero":        oddSigner{pub: pub, answer: der(new(big.Int), one)},
		"s negative":    oddSigner{pub: pub, answer: der(one, big.NewInt(-1))},
		"r the order":   oddSigner{pub: pub, answer: der(order, one)},
		"s of 384 bits": oddSigner{pub: pub, answer: der(one, new(big.Int).Lsh(one, 383))},
	} {
		if got, err := Sign("t", "k", struct{}{}, s); err == nil {
			t.Errorf("%s: signed %q, want an error", name, got)
		}
	}
	if _, err := Sign("t", "k", oddSigner{pub: pub, answer: der(one, one)}.Sign, oddSigner{pub: pub}); err == nil {
		t.Error("claims that are a function: no error")
	}
	if _, err := Sign("t", "k", strings.Repeat("x", MaxSize), oddSigner{
		pub:    pub,
		answer: der(one, one),
	}); !errors.Is(err, ErrInvalid) {
		t.Errorf("claims over the limit: error = %v, want ErrInvalid", err)
	}
}

func TestObjectReaders(t *testing.T) {
	o, err := ParseObject([]byte(` {"s":"x\u00e9","n":-7,"d":1500000000,"f":1500000000.25,"e":1.5e9,"l":["a","b"],"none":[],
		"null":null,"big":1e400,"neg":-1,"far":253402300800,"mixed":["a",1],"hole":["a",null],"bool":true} `))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1500000000, 0).UTC()
	for _, tc := range []struct {
		name string
		read func(string) (any, error)
		want any // nil: an error
	}{
		{"s", asAny(o.Text), "xé"}, {"absent", asAny(o.Text), ""}, {"null", asAny(o.Text), nil}, {"n", asAny(o.Text), nil},
		{"n", asAny(o.Int), int64(-7)}, {"absent", asAny(o.Int), int64(0)}, {"f", asAny(o.Int), nil},
		{"e", asAny(o.Int), nil},
		{"null", asAny(o.Int), nil}, {"s", asAny(o.Int), nil}, {"big", asAny(o.Int), nil},
		{"d", asAny(o.Time), at}, {"e", asAny(o.Time), at}, {"f", asAny(o.Time), at.Add(time.Second / 4)},
		{"absent", asAny(o.Time), time.Time{}},
		{"null", asAny(o.Time), nil}, {"big", asAny(o.Time), nil}, {"neg", asAny(o.Time), nil}, {"far", asAny(o.Time), nil},
		{"s", asAny(o.Time), nil},
		{"l", asAny(o.Texts), []string{"a", "b"}}, {"none", asAny(o.Texts), []string{}},
		{"absent", asAny(o.Texts), []string(nil)},
		{"null", asAny(o.Texts), nil}, {"mixed", asAny(o.Texts), nil}, {"hole", asAny(o.Texts), nil},
		{"s", asAny(o.Texts), nil},
	} {
		got, err := tc.read(tc.name)
		if tc.want == nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: got %v, %v, want ErrInvalid", tc.name, got, err)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v, diff (-want +got):\n%s", tc.name, err, diff)
		}
	}
}

func asAny[T any](read func(string) (T, error)) func(string) (any, error) {
	return func(name string) (any, error) { return read(name) }
}

func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"a":{"b":[{},{"c":null}]}}`, `null`, `{"a":1e999}`,
		`{"\u0061":1,"a":2}`, `{"a":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := ParseObject(raw)
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("error = %v, want ErrInvalid", err)
		}
		for name := range o {
			if _, err := o.Text(name); err != nil && !errors.Is(err, ErrInvalid) {
				t.Fatalf("error = %v, want ErrInvalid", err)
			}
		}
	})
}
