package pki_test

import (
	"crypto/x509"
	"fmt"
	"log"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
)

// A generation from nothing: its root, its issuing CA, and the certificate of an agent.
func Example() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	generation := pki.CAParams{Org: "acme", Generation: 1, Now: now}

	rootKey, err := pki.NewKey() // in operation a key in KMS, as a crypto.Signer
	if err != nil {
		log.Fatal(err)
	}
	root, err := pki.NewRoot(generation, rootKey)
	if err != nil {
		log.Fatal(err)
	}
	issuingKey, err := pki.NewKey()
	if err != nil {
		log.Fatal(err)
	}
	above := pki.Authority{Chain: []*x509.Certificate{root}, Key: rootKey}
	issuing, err := pki.NewIssuing(generation, above, issuingKey.Public())
	if err != nil {
		log.Fatal(err)
	}

	authority := pki.Authority{Chain: []*x509.Certificate{issuing, root}, Key: issuingKey}
	agentKey, err := pki.NewKey()
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := authority.IssueAgent(pki.AgentParams{
		AgentID:   "acme::billing",
		Org:       "acme",
		SPIFFEID:  "spiffe://acme.example/acme/billing",
		PublicKey: agentKey.Public(),
		Now:       now,
	})
	if err != nil {
		log.Fatal(err)
	}
	uri, _ := pki.URI(leaf)
	fmt.Println(leaf.Issuer)
	fmt.Println(uri)
	fmt.Println(pki.VerifyChain(leaf, authority.Chain, now))
	// Output:
	// CN=acme Mastio CA G1,O=acme
	// spiffe://acme.example/acme/billing
	// <nil>
}
