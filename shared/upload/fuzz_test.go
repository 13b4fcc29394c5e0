package upload_test

import (
	"slices"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/upload"
)

// seeds are uploads whose keys are made at once: every worker of the fuzzer makes them anew, slowed by instrumentation.
func seeds(t testing.TB) []sample {
	r := &rows{t: t}
	r.extensions()
	key, upper, weak := p256(t, "ca"), p256(t, "upper"), rsaOf(t, 1024)
	root := found(t, "acme root", key, nil)
	top := found(t, "holding root", upper, nil)
	ca := found(t, "acme CA", key, top)
	r.add("SEC 1", root.pem(), slices.Concat(block("EC PARAMETERS", curveP256), sec1(t, key)))
	r.add("DER", root.der, pkcs8DER(t, key))
	r.add("chain", slices.Concat([]byte("Bag Attributes\n"), ca.pem(), top.pem()), pkcs8(t, key))
	r.add("RSA", found(t, "acme root", weak, nil).pem(), pkcs1(weak))
	r.add("encrypted", root.pem(), legacyEncrypted(t, key))
	r.add("PBES2", root.pem(), pkcs8Encrypted(t, key))
	r.add("explicit", root.pem(), block("EC PRIVATE KEY", ecParts(scalarOf(t, key), explicitP256(), nil)))
	r.add("swapped", pkcs8(t, key), root.pem())
	return r.all
}

// Whatever the files are: no panic, and either a refusal with its reasons or material that verifies.
func FuzzRead(f *testing.F) {
	for _, u := range seeds(f) {
		f.Add(u.certs, u.key, u.policy.Legacy)
	}
	f.Fuzz(func(t *testing.T, certs, key []byte, legacy bool) {
		m, err := upload.Read(certs, key, upload.Policy{Now: noon, Legacy: legacy})
		if len(defectsOf(t, err)) > 0 {
			return
		}
		if len(m.Chain) == 0 || m.Key == nil || !pki.SameKey(m.Chain[0].PublicKey, m.Key.Public()) {
			t.Fatalf("accepted without a CA and its key: %+v", m)
		}
		if err := pki.VerifyAuthority(m.Chain, noon); err != nil {
			t.Error(err)
		}
		if m.Legacy && !legacy || m.Legacy != pki.LegacyPathLenZero(m.Chain[0]) {
			t.Errorf("legacy = %t, allowed %t", m.Legacy, legacy)
		}
	})
}
