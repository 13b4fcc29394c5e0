package enroll

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// Whatever is sent, reading it ends without a panic, and only a certificate within the policy, with its own key or a
// proof by it, is let through.
func FuzzOutside(f *testing.F) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	ca := pkitest.Authority(f, "orga", 1, now)
	key := pkitest.Key(f)
	leaf := pkitest.Sign(f, &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
		NotBefore:             now,
		NotAfter:              now.Add(time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: "mastio.test", Path: "/orga/kyc"}},
	}, ca, key.Public())
	keyPEM, err := pki.EncodePrivateKey(key.Signer)
	if err != nil {
		f.Fatal(err)
	}
	e := New(Config{OrgID: "orga", TrustDomains: []string{"mastio.test"}, Now: func() time.Time { return now }})
	certPEM := pki.EncodeCertificates(leaf, ca.Chain[0])
	f.Add(certPEM, keyPEM, "", pki.EncodeCertificates(ca.Chain...), []byte(`{"kty":"EC"}`))
	f.Add(certPEM, []byte{}, "MEUCIQ", []byte{}, []byte("null"))
	f.Add(keyPEM, certPEM, "", certPEM, []byte{})
	f.Fuzz(func(t *testing.T, cert, key []byte, proof string, bundle, jwk []byte) {
		req := Outside{
			Name:    "kyc",
			CertPEM: cert,
			KeyPEM:  append([]byte{}, key...),
			Proof:   proof,
			Profile: agent.Profile{Capabilities: []string{"a"}},
		}
		if len(bundle) > 0 {
			req.BundlePEM = bundle
		}
		if len(jwk) > 0 {
			req.DPoPJWK = jwk
		}
		for _, m := range []agent.Method{agent.BYOCA, agent.SPIFFE} {
			req.KeyPEM = append([]byte{}, key...)
			r, err := e.read(m, req)
			if err != nil {
				continue
			}
			if err := pki.CheckKey(r.leaf.PublicKey); err != nil || now.After(r.leaf.NotAfter) || r.leaf.IsCA ||
				r.possession == "" {
				t.Fatalf("let through: %+v, %v", r, err)
			}
			_ = e.checkNames(r)
			if id, err := authn.CheckSVID(r.leaf, now); err == nil && pki.CheckSPIFFEID(id) != nil {
				t.Fatalf("SPIFFE ID %q", id)
			}
			_ = pki.VerifyUnder(r.leaf, r.between, pki.Trust{Roots: r.bundle}, now)
		}
	})
}
