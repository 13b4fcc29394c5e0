package rfc3161_test

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/mastio-aws/mastio/shared/audit/rfc3161"
	"github.com/mastio-aws/mastio/test/audittest"
)

var (
	noon   = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	digest = sha256.Sum256([]byte("a checkpoint"))
)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func pool(t *testing.T, a *audittest.Authority) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(a.RootPEM) {
		t.Fatal("no root")
	}
	return p
}

func TestTokenHolds(t *testing.T) {
	a := audittest.NewAuthority(at(noon), x509.ExtKeyUsageTimeStamping)
	for name, roots := range map[string]*x509.CertPool{"pinned": pool(t, a), "not pinned": nil} {
		got, authority, err := rfc3161.Checker(roots)(a.Token(digest[:]), digest[:])
		if err != nil || !got.Equal(noon) || !strings.HasPrefix(authority, "CN=Time Authority") {
			t.Errorf("%s: %v by %q, %v", name, got, authority, err)
		}
		if named := strings.Contains(authority, "not checked"); named != (roots == nil) {
			t.Errorf("%s: authority %q", name, authority)
		}
	}
}

func TestTokenDoesNotHold(t *testing.T) {
	good := audittest.NewAuthority(at(noon), x509.ExtKeyUsageTimeStamping)
	stranger := audittest.NewAuthority(at(noon), x509.ExtKeyUsageTimeStamping)
	otherwise := audittest.NewAuthority(at(noon), x509.ExtKeyUsageCodeSigning)
	both := audittest.NewAuthority(at(noon), x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageCodeSigning)
	late := audittest.NewAuthority(at(noon.AddDate(11, 0, 0)), x509.ExtKeyUsageTimeStamping)
	other := sha256.Sum256([]byte("another checkpoint"))
	bare, err := timestamp.ParseResponse(good.Respond(digest[:], nil, false))
	if err != nil {
		t.Fatal(err)
	}
	token := good.Token(digest[:])
	for name, c := range map[string]struct {
		roots *x509.CertPool
		token []byte
	}{
		"of another digest":              {nil, good.Token(other[:])},
		"of a stranger":                  {pool(t, good), stranger.Token(digest[:])},
		"of a certificate for code":      {nil, otherwise.Token(digest[:])},
		"of a certificate for both":      {nil, both.Token(digest[:])},
		"after the certificate's end":    {pool(t, late), late.Token(digest[:])},
		"without certificate":            {nil, bare.RawToken},
		"cut":                            {nil, token[:len(token)-1]},
		"with a changed octet":           {nil, append(token[:len(token)-1:len(token)-1], token[len(token)-1]^1)},
		"empty":                          {nil, nil},
		"indefinite length without end ": {nil, []byte{0x30, 0x80}},
	} {
		if _, _, err := rfc3161.Checker(c.roots)(c.token, digest[:]); !errors.Is(err, rfc3161.ErrToken) {
			t.Errorf("%s: %v, want ErrToken", name, err)
		}
	}
}

// No octets make the check panic, and only the authority's own token holds.
func FuzzToken(f *testing.F) {
	a := audittest.NewAuthority(at(noon), x509.ExtKeyUsageTimeStamping)
	f.Add(a.Token(digest[:]))
	f.Add([]byte{0x30, 0x80, 0x06, 0x09})
	other := sha256.Sum256([]byte("never stamped"))
	check := rfc3161.Checker(nil)
	f.Fuzz(func(t *testing.T, token []byte) {
		if _, _, err := check(token, other[:]); err == nil {
			t.Error("a token over a digest that was never stamped")
		}
	})
}
