package upload

import (
	"bytes"
	"maps"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/der"
)

// The extensions that are looked at (RFC 5280 section 4.2.1).
const (
	oidSubjectKeyID     = "2.5.29.14"
	oidKeyUsage         = "2.5.29.15"
	oidBasicConstraints = "2.5.29.19"
	oidNameConstraints  = "2.5.29.30"
	oidPolicies         = "2.5.29.32"
	oidPolicyMappings   = "2.5.29.33"
	oidAuthorityKeyID   = "2.5.29.35"
	oidPolicyConstraint = "2.5.29.36"
	oidExtKeyUsage      = "2.5.29.37"
	oidInhibitAnyPolicy = "2.5.29.54"

	oidClientAuth = "1.3.6.1.5.5.7.3.2"
)

// mayBeCritical are the extensions that a CA may mark critical. nameConstraints have a code of their own. RFC 5280 lets
// certificatePolicies and extendedKeyUsage be critical as well; pyca/cryptography, and of policies rustls-webpki too,
// then refuse every chain.
var mayBeCritical = []string{oidKeyUsage, oidBasicConstraints, oidNameConstraints}

func judgeExtensions(c *certificate, f *findings) {
	judgeConstraints(c, f)
	judgeKeyUsage(c, f)
	judgeExtKeyUsage(c, f)
	judgeSubjectKeyID(c, f)
	if e, found := c.extensions[oidAuthorityKeyID]; found {
		if _, ok := readAuthorityKeyID(e.value); !ok {
			f.add(Unparseable, "%s: its authorityKeyIdentifier is not strict DER", c)
		}
	}
	if _, ok := c.extensions[oidNameConstraints]; ok {
		f.add(NameConstraints, "%s has nameConstraints, which verifiers read in different ways, or not at all on a root; "+
			"use a CA without", c)
	}
	for _, oid := range slices.Sorted(maps.Keys(c.extensions)) {
		judgeCritical(c, oid, f)
		judgeSyntax(c, oid, f)
	}
}

func judgeCritical(c *certificate, oid string, f *findings) {
	switch {
	case oid == oidPolicyConstraint || oid == oidInhibitAnyPolicy || oid == oidPolicyMappings:
		f.add(UnknownCriticalExtension, "%s constrains certificate policies (%s), and the Mastio's certificates have none", c,
			oid)
	case c.extensions[oid].critical && !slices.Contains(mayBeCritical, oid):
		f.add(UnknownCriticalExtension, "%s marks the %s critical, which pyca/cryptography and other verifiers then refuse "+
			"(RFC 5280 section 4.2); issue it again with the extension not critical",
			c, pki.ExtensionName(oid))
	}
}

// judgeSyntax looks at the form of the extensions that have no judge of their own. OpenSSL refuses a certificate with
// one that it cannot read.
func judgeSyntax(c *certificate, oid string, f *findings) {
	if slices.Contains([]string{oidSubjectKeyID, oidKeyUsage, oidBasicConstraints, oidAuthorityKeyID, oidExtKeyUsage},
		oid) {
		return
	}
	if why := pki.ExtensionSyntax(oid, c.extensions[oid].value); why != "" {
		f.add(Unparseable, "%s: its %s %s", c, pki.ExtensionName(oid), why)
	}
}

func judgeConstraints(c *certificate, f *findings) {
	e, found := c.extensions[oidBasicConstraints]
	bc, ok := c.constraints()
	switch {
	case found && !ok:
		f.add(Unparseable, "%s: its basicConstraints are not strict DER", c)
	case !bc.CA:
		f.add(NotACA, "%s is not a CA: its basicConstraints do not say so", c)
	case !e.critical:
		f.add(ConstraintsNotCritical, "%s does not mark its basicConstraints critical", c)
	case bc.PathLen != nil && bc.PathLen.Cmp(big.NewInt(maxPathLen)) > 0:
		f.add(Unparseable, "%s: its pathLenConstraint is %d, and mbedTLS, Java or rustls-webpki read none above %d; "+
			"leave it out", c, bc.PathLen, maxPathLen)
	}
}

// maxPathLen is the largest pathLenConstraint that every verifier reads.
const maxPathLen = 127

// constraints decodes the extension by package pki's reader and asks beyond it that it be what DER encodes.
func (c *certificate) constraints() (bc pki.Constraints, ok bool) {
	value := c.extensions[oidBasicConstraints].value
	bc, err := pki.ReadConstraints(value)
	if err != nil || !der.Strict(value) || bc.PathLen != nil && bc.PathLen.Sign() < 0 {
		return pki.Constraints{}, false
	}
	return bc, true
}

// The bits of keyUsage (RFC 5280 section 4.2.1.3).
const (
	bitKeyEncipherment = 2
	bitDecipherOnly    = 8
	bitKeyCertSign     = 5
	bitCRLSign         = 6
)

func judgeKeyUsage(c *certificate, f *findings) {
	e, found := c.extensions[oidKeyUsage]
	if !found {
		f.add(KeyUsage, "%s has no keyUsage; want keyCertSign", c)
		return
	}
	s := cryptobyte.String(e.value)
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.BIT_STRING) || !s.Empty() || !der.NamedBits(content) {
		f.add(Unparseable, "%s: its keyUsage is not strict DER", c)
		return
	}
	bits := content[1:]
	set := func(i int) bool { return i/8 < len(bits) && bits[i/8]&(0x80>>(i%8)) != 0 }
	if !set(bitKeyCertSign) {
		f.add(KeyUsage, "keyUsage of %s lacks keyCertSign", c)
	}
	for i := bitKeyEncipherment; i <= bitDecipherOnly; i++ {
		if i != bitKeyCertSign && i != bitCRLSign && set(i) {
			f.add(KeyUsage, "keyUsage of %s lets the key encrypt or agree on keys; a CA's key signs and does nothing else", c)
			return
		}
	}
}

// judgeExtKeyUsage lets a CA be confined to purposes if clientAuth, which agents need, is among them.
func judgeExtKeyUsage(c *certificate, f *findings) {
	e, found := c.extensions[oidExtKeyUsage]
	if !found {
		return
	}
	s := cryptobyte.String(e.value)
	var list, oid cryptobyte.String
	ok := s.ReadASN1(&list, asn1.SEQUENCE) && s.Empty() && !list.Empty() && der.Strict(e.value)
	client := false
	for ok && !list.Empty() {
		ok = list.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER)
		client = client || ok && der.OID(oid) == oidClientAuth
	}
	switch {
	case !ok:
		f.add(Unparseable, "%s: its extendedKeyUsage is not strict DER", c)
	case !client:
		f.add(ExtendedKeyUsage, "extendedKeyUsage of %s does not include clientAuth, which every agent's certificate needs",
			c)
	}
}

func judgeSubjectKeyID(c *certificate, f *findings) {
	_, found := c.extensions[oidSubjectKeyID]
	switch id, ok := c.subjectKeyID(); {
	case found && !ok:
		f.add(Unparseable, "%s: its subjectKeyIdentifier is not strict DER", c)
	case len(id) == 0:
		f.add(SKIMissing, "%s has no subjectKeyIdentifier, by which verifiers find an issuer", c)
	}
}

func (c *certificate) subjectKeyID() (id []byte, ok bool) {
	s := cryptobyte.String(c.extensions[oidSubjectKeyID].value)
	var content cryptobyte.String
	ok = s.ReadASN1(&content, asn1.OCTET_STRING) && s.Empty()
	return content, ok
}

// judgeAuthorityKeyID asks that a certificate name its issuer's key, and no other certificate than its issuer's. A
// root may leave it out (RFC 5280 section 4.2.1.1). An issuer of nil is not known.
func judgeAuthorityKeyID(c, issuer *certificate, f *findings) {
	e, found := c.extensions[oidAuthorityKeyID]
	if !found {
		if c != issuer {
			f.add(AKIMismatch, "%s has no authorityKeyIdentifier", c)
		}
		return
	}
	a, ok := readAuthorityKeyID(e.value)
	switch {
	case !ok: // reported already
	case a.id == nil:
		f.add(AKIMismatch, "the authorityKeyIdentifier of %s has no keyIdentifier (RFC 5280 section 4.2.1.1), without "+
			"which pyca/cryptography refuses it; a root may leave the extension out", c)
	case issuer != nil:
		compareAuthority(c, issuer, a, f)
	}
}

func compareAuthority(c, issuer *certificate, a authorityKeyID, f *findings) {
	if want, _ := issuer.subjectKeyID(); a.id != nil && len(want) > 0 && !bytes.Equal(a.id, want) {
		f.add(AKIMismatch, "the authorityKeyIdentifier of %s is not the subjectKeyIdentifier of %s", c, issuer)
	}
	if a.serial != nil && (!bytes.Equal(a.serial, issuer.serial) || !bytes.Equal(a.issuer, issuer.issuer)) {
		f.add(AKIMismatch, "the authorityKeyIdentifier of %s names another certificate than that of %s", c, issuer)
	}
}

// authorityKeyID is the extension's parts; nil is absent.
type authorityKeyID struct{ id, issuer, serial []byte }

func readAuthorityKeyID(value []byte) (a authorityKeyID, ok bool) {
	s := cryptobyte.String(value)
	var body, id, names, serial cryptobyte.String
	var hasID, hasNames, hasSerial bool
	tag := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
	if !der.Strict(value) || !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() ||
		!body.ReadOptionalASN1(&id, &hasID, tag(0)) || !body.ReadOptionalASN1(&names, &hasNames, tag(1).Constructed()) ||
		!body.ReadOptionalASN1(&serial, &hasSerial, tag(2)) || !body.Empty() || hasNames != hasSerial {
		return a, false
	}
	if hasID {
		a.id = append([]byte{}, id...)
	}
	if hasSerial {
		// One directoryName and nothing else: no certificate's issuer field has another form.
		var name cryptobyte.String
		if !names.ReadASN1(&name, tag(4).Constructed()) || !names.Empty() {
			return a, false
		}
		a.issuer, a.serial = append([]byte{}, name...), append([]byte{}, serial...)
	}
	return a, true
}
