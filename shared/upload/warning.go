package upload

import "slices"

// Warning is what a verifier refuses by a policy of its own, in a chain that RFC 5280 allows. It does not stop an
// upload, because many operators use no such verifier.
type Warning struct {
	Verifier string `json:"verifier"`
	Detail   string `json:"detail"`
}

// policies is the table of the warnings. Every verifier of the tests accepts every chain under an accepted CA, except
// in the cases of this table.
var policies = []struct {
	verifier, reason string
	applies          func(path []*certificate) bool
}{
	{
		"rustls-webpki", "a certificate below the root is valid from before 1970, and it reads no such date",
		func(path []*certificate) bool {
			return slices.ContainsFunc(path[:len(path)-1], func(c *certificate) bool { return c.notBefore.Unix() < 0 })
		},
	},
	{
		"rustls-webpki", "a certificate of the chain is signed by ECDSA with SHA-512, which it has not on this curve (its " +
			"library, ring)", func(path []*certificate) bool {
			return slices.ContainsFunc(path[:len(path)-1],
				func(c *certificate) bool { return c.signed.oid == "1.2.840.10045.4.3.4" })
		},
	},
}

// Warnings lists what verifiers refuse by a policy of their own under this chain of DER, the CA first.
func Warnings(chain [][]byte) (all []Warning) {
	var path []*certificate
	for _, raw := range chain {
		c, err := readCertificate(raw)
		if err != nil { // it was accepted once
			return nil
		}
		path = append(path, c)
	}
	for _, p := range policies {
		if len(path) > 0 && p.applies(path) {
			all = append(all, Warning{p.verifier, p.reason})
		}
	}
	return all
}
