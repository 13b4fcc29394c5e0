package upload_test

import (
	"crypto"
	"crypto/elliptic"
	"slices"
	"testing"

	"github.com/mastio-aws/mastio/shared/upload"
)

// Reading an upload, proof included: two keys made, one or two certificates issued and verified.
func BenchmarkRead(b *testing.B) {
	root := found(b, "holding root", p256(b, "root"), nil)
	upper := found(b, "holding upper", ec(b, elliptic.P384(), "upper"), root)
	middle := found(b, "holding middle", p256(b, "middle"), upper)
	key := p256(b, "ca")
	low := found(b, "acme CA", key, middle)
	single := func(key crypto.Signer) sample {
		return sample{certs: found(b, "acme root", key, nil).pem(), key: pkcs8(b, key)}
	}
	var crooked sample
	for _, u := range uploads(b) {
		if u.name == "everything at once" {
			crooked = u
		}
	}
	for _, c := range []struct {
		name string
		u    sample
	}{
		{"P-256", single(key)},
		{"P-384", single(ec(b, elliptic.P384(), "ca"))},
		{"chain-of-4", sample{certs: slices.Concat(low.pem(), middle.pem(), upper.pem(), root.pem()), key: pkcs8(b, key)}},
		{"refused", crooked},
		{"RSA-2048", single(rsaOf(b, 2048))},
		{"RSA-3072", single(rsaOf(b, 3072))},
		{"RSA-4096", single(rsaOf(b, 4096))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := upload.Read(c.u.certs, c.u.key, upload.Policy{Now: noon})
				if (err == nil) != (c.name != "refused") {
					b.Fatal(err)
				}
			}
		})
	}
}
