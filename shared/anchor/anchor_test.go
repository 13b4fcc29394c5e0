package anchor_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/anchor"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/pkitest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestReadTakesWhatTheMastioMints(t *testing.T) {
	root := pkitest.Root(t, "acme", 1, noon)
	key := root.Key.(*pkitest.Signer).Signer
	m, err := anchor.Read(pki.EncodeCertificates(root.Chain...), pkcs8(t, key), anchor.Policy{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Chain) != 1 || !m.Chain[0].Equal(root.Chain[0]) || m.Legacy || !pki.SameKey(m.Key.Public(), key.Public()) {
		t.Errorf("material = %+v", m)
	}
}
