package rotateca

import (
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// The pre-flight warns of what a verifier refuses by a policy of its own, and of nothing else.
func TestPreflightWarnsOfVerifiers(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	root := pkitest.Root(t, "acme", 1, now)
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, want := range map[x509.SignatureAlgorithm]string{x509.ECDSAWithSHA256: "passed",
		x509.ECDSAWithSHA512: "warning"} {
		template := pkitest.CATemplate("acme CA", 1, now)
		template.SignatureAlgorithm, template.SerialNumber = algorithm, root.Chain[0].SerialNumber
		der, err := x509.CreateCertificate(rand.Reader, template, root.Chain[0], key.Public(), root.Key)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, c := range checks(orgca.Generation{
			Root:     der,
			Above:    [][]byte{root.Chain[0].Raw},
			NotAfter: now.AddDate(1, 0, 0),
		}, now) {
			if c.Name == "verifiers" {
				found = true
				if c.Result != want || strings.Contains(c.Detail, "rustls-webpki refuses") != (want == "warning") {
					t.Errorf("%s: %+v, want %s", algorithm, c, want)
				}
			}
		}
		if !found {
			t.Errorf("%s: no check of the verifiers", algorithm)
		}
	}
}
