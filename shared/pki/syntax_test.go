package pki_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func TestExtensionSyntax(t *testing.T) {
	for _, c := range []struct{ oid, value, says string }{
		{"2.5.29.15", "030186", notDER},
		{"2.5.29.15", "03020106", ""},
		{"2.5.29.15", "030100", "sets no bit"},
		{"2.5.29.15", "03020006", notDER}, // a zero bit at its end
		{"2.5.29.15", "030400000080", notDER},
		{"2.5.29.15", "0304000000ff", "sets bits that do not exist"},
		{"2.5.29.15", "0302010600", notDER},
		{"2.5.29.37", "3000", "is empty"},
		{"2.5.29.37", "300a06082b06010505070302", ""},
		{"2.5.29.37", "3003020101", notDER},
		{"2.5.29.14", "0400", "is empty"},
		{"2.5.29.14", "040101", ""},
		{"2.5.29.14", "0500", notDER},
		{"2.5.29.19", "3000", ""},
		{"2.5.29.19", "30030101ff", ""},
		{"2.5.29.19", "3003010101", notDER},
		{"2.5.29.19", "30060101ff0201ff", "has a negative pathLenConstraint"},
		{"2.5.29.35", "3000", ""},
		{"2.5.29.35", "30028000", "names an empty key"},
		{"2.5.29.35", "3003820101", "has a serial number without the issuer's name, or a name without a serial number"},
		{"2.5.29.17", "3000", "is empty"},
		{"2.5.29.17", "3003820161", ""},
		{"2.5.29.17", "3003020101", notDER},
		{"2.5.29.32", "3000", "is empty"},
		{"2.5.29.32", "300830060604551d2000", ""},
		{"2.5.29.32", "301030060604551d200030060604551d2000", "has the policy 2.5.29.32.0 twice"},
		{"2.5.29.31", "3000", "is empty"},
		{"1.3.6.1.5.5.7.1.1", "3000", "is empty"},
		{"2.5.29.30", "3000", "is empty"},
		{"1.2.3.4", "ffff", ""}, // not one that is known
	} {
		value, err := hex.DecodeString(c.value)
		if err != nil {
			t.Fatal(err)
		}
		if got := pki.ExtensionSyntax(c.oid, value); got != c.says {
			t.Errorf("%s %s: %q, want %q", c.oid, c.value, got, c.says)
		}
	}
}

const notDER = "is not strict DER"

// What an uploaded Org CA is refused for, an intermediate or a bundle's root is refused for as well.
func TestCheckIssuer(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	under := pki.Authority{Key: key}
	extra := func(oid asn1.ObjectIdentifier, value ...byte) *x509.Certificate {
		c := pkitest.CATemplate("CA", 0, noon)
		c.ExtraExtensions = []pkix.Extension{{Id: oid, Value: value}}
		return pkitest.Sign(t, c, under, key.Public())
	}
	good := pkitest.Sign(t, pkitest.CATemplate("CA", 0, noon), under, key.Public())
	unsigning := pkitest.CATemplate("CA", 0, noon)
	unsigning.KeyUsage = x509.KeyUsageDigitalSignature
	weak := func(change func(*x509.Certificate)) *x509.Certificate {
		c := *good
		change(&c)
		return &c
	}
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		want error
	}{
		{"good", good, nil},
		{"P-224", pkitest.Sign(t, pkitest.CATemplate("CA", 0, noon), under, ecKey(t, elliptic.P224()).Public()), pki.ErrKey},
		{"P-521", pkitest.Sign(t, pkitest.CATemplate("CA", 0, noon), under, ecKey(t, elliptic.P521()).Public()), pki.ErrKey},
		{"Ed25519", pkitest.Sign(t, pkitest.CATemplate("CA", 0, noon), under, edKey(t).Public()), pki.ErrKey},
		{"RSA-1024", weak(func(c *x509.Certificate) { c.PublicKey = weakRSA(t) }), pki.ErrKey},
		{"small exponent", weak(func(c *x509.Certificate) {
			k := *weakRSA(t)
			k.N, k.E = new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 2047), big.NewInt(1)), 3
			c.PublicKey = &k
		}), pki.ErrKey},
		{"SHA-1", weak(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), pki.ErrIssuer},
		{"signed with what is not known", weak(func(c *x509.Certificate) { c.SignatureAlgorithm = 0 }), pki.ErrIssuer},
		{"keyUsage without a bit", extra(asn1.ObjectIdentifier{2, 5, 29, 15}, 3, 1, 0), pki.ErrExtension},
		{"extendedKeyUsage without a purpose", extra(asn1.ObjectIdentifier{2, 5, 29, 37}, 0x30, 0), pki.ErrExtension},
		{"keyUsage without keyCertSign", pkitest.Sign(t, unsigning, under, key.Public()), pki.ErrIssuer},
	} {
		err := pki.CheckIssuer(c.cert)
		if !errors.Is(err, c.want) || c.want != nil && !errors.Is(err, pki.ErrIssuer) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Such a leaf is read by crypto/x509 as one without the extension.
func TestCheckExtensionsOfALeaf(t *testing.T) {
	root := pkitest.Root(t, "acme", 1, noon)
	for name, ext := range map[string]pkix.Extension{
		"keyUsage":         {Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 1, 0}},
		"extendedKeyUsage": {Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 0}},
	} {
		leaf := pkitest.Sign(t, &x509.Certificate{
			NotBefore:       noon,
			NotAfter:        noon.AddDate(0, 1, 0),
			ExtraExtensions: []pkix.Extension{ext},
		}, root, pkitest.Key(t).Public())
		if leaf.KeyUsage != 0 || len(leaf.ExtKeyUsage) != 0 {
			t.Errorf("%s: the library has learnt to read it", name)
		}
		if err := pki.CheckExtensions(leaf); !errors.Is(err, pki.ErrExtension) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzExtensionSyntax(f *testing.F) {
	f.Add(uint8(0), []byte{0x30, 0})
	f.Fuzz(func(t *testing.T, which uint8, value []byte) {
		for _, oid := range []string{"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31",
			"2.5.29.32", "2.5.29.35", "2.5.29.37"} {
			if pki.ExtensionSyntax(oid, value) == "" && len(value) < 2 {
				t.Errorf("%s: %x is taken", oid, value)
			}
		}
	})
}
