package upload

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki/der"
	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// certificate is one of the file, read from its encoding and, unless crypto/x509 refuses it, by that too.
type certificate struct {
	place     int // in the file, from 1
	der       []byte
	version   int // 1 to 3
	serial    []byte
	signed    algorithm
	issuer    []byte
	subject   []byte
	notBefore time.Time
	notAfter  time.Time
	// generalized says that a date before 2050 is a GeneralizedTime; uniqueID, that it has a unique identifier.
	generalized, uniqueID bool
	spki                  []byte
	key                   algorithm
	// extensions are by object identifier.
	extensions map[string]extension

	parsed  *x509.Certificate // nil: refused says why
	public  crypto.PublicKey  // nil: not one that can be read
	refusal error
}

type extension struct {
	critical bool
	value    []byte
}

// String names the certificate as its file shows it.
func (c *certificate) String() string {
	name := "certificate " + strconv.Itoa(c.place)
	if isEmptySequence(c.subject) {
		return name
	}
	return name + " (" + dn.Brief(c.subject) + ")"
}

// clip makes text of unknown origin fit for one line of a message.
func clip(text string) string {
	const most = 80
	quoted := strconv.QuoteToASCII(text)
	quoted = quoted[1 : len(quoted)-1]
	if len(quoted) > most {
		return quoted[:most] + "…"
	}
	return quoted
}

// tailError reports octets after the end of something.
type tailError struct {
	octets int
	after  string
}

func (e *tailError) Error() string {
	return fmt.Sprintf("something follows after the end of %s (bytes: %d)", e.after, e.octets)
}

func end(s cryptobyte.String, of string) error {
	if s.Empty() {
		return nil
	}
	return &tailError{len(s), of}
}

var errDER = errors.New("it is not the DER of a certificate")

// readCertificate takes a certificate apart (RFC 5280 section 4.1). A certificate that crypto/x509 refuses is no
// error here: the checks name the reason. A malformed serial number is no error either: it has a code of its own.
func readCertificate(raw []byte) (*certificate, error) {
	c := &certificate{der: raw, version: 1}
	s := cryptobyte.String(raw)
	var body, tbs, outer, signature cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) {
		return nil, errDER
	}
	if err := end(s, "the certificate"); err != nil {
		return nil, err
	}
	if !body.ReadASN1(&tbs, asn1.SEQUENCE) || !body.ReadASN1Element(&outer, asn1.SEQUENCE) ||
		!body.ReadASN1(&signature, asn1.BIT_STRING) || !der.Bits(signature) {
		return nil, errDER
	}
	if err := end(body, "its signature"); err != nil {
		return nil, err
	}
	inner, err := c.readFields(&tbs)
	if err != nil {
		return nil, err
	}
	if err := c.readOptional(tbs); err != nil {
		return nil, err
	}
	var ok bool
	if c.signed, ok = readAlgorithm(inner); !ok || string(inner) != string(outer) {
		return nil, errors.New("the two statements of its signature algorithm are malformed or differ")
	}
	c.parsed, c.refusal = x509.ParseCertificate(raw)
	if c.parsed != nil {
		c.public = c.parsed.PublicKey
	} else if public, err := x509.ParsePKIXPublicKey(c.spki); err == nil {
		c.public = public
	}
	return c, nil
}

// readFields reads what every certificate has, up to the public key, and returns the signature's algorithm.
func (c *certificate) readFields(tbs *cryptobyte.String) (signed cryptobyte.String, err error) {
	version := 0
	var serial, issuer, validity, subject, spki cryptobyte.String
	if !tbs.ReadOptionalASN1Integer(&version, asn1.Tag(0).ContextSpecific().Constructed(), 0) || version < 0 ||
		version > 2 {
		return nil, errors.New("it has no X.509 version 1 to 3")
	}
	if !tbs.ReadASN1(&serial, asn1.INTEGER) {
		return nil, errDER
	}
	for _, field := range []struct {
		name    string
		element *cryptobyte.String
	}{{"signature algorithm", &signed}, {"issuer", &issuer}, {"validity", &validity}, {"subject", &subject},
		{"public key", &spki}} {
		if !tbs.ReadASN1Element(field.element, asn1.SEQUENCE) {
			return nil, errDER
		}
		if !der.Strict(*field.element) {
			return nil, fmt.Errorf("its %s is not strict DER (X.690), and pyca/cryptography refuses it; issue it again",
				field.name)
		}
	}
	c.version, c.serial, c.issuer, c.subject, c.spki = version+1, serial, issuer, subject, spki
	return signed, errors.Join(c.readValidity(validity), c.readKeyAlgorithm(spki))
}

func (c *certificate) readValidity(element cryptobyte.String) error {
	var s cryptobyte.String
	ok := element.ReadASN1(&s, asn1.SEQUENCE)
	for _, t := range []*time.Time{&c.notBefore, &c.notAfter} {
		var generalized bool
		if ok {
			*t, generalized, ok = readTime(&s)
		}
		c.generalized = c.generalized || generalized && t.Year() < 2050
	}
	if !ok || !s.Empty() {
		return errors.New("its validity is malformed (RFC 5280 section 4.1.2.5 wants dates to the second, in Z)")
	}
	return nil
}

func (c *certificate) readKeyAlgorithm(element cryptobyte.String) error {
	var s, a, bits cryptobyte.String
	if !element.ReadASN1(&s, asn1.SEQUENCE) || !s.ReadASN1Element(&a, asn1.SEQUENCE) ||
		!s.ReadASN1(&bits, asn1.BIT_STRING) || !s.Empty() {
		return errors.New("its public key is malformed")
	}
	var ok bool
	if c.key, ok = readAlgorithm(a); !ok {
		return errors.New("the algorithm of its public key is malformed")
	}
	return nil
}

// readOptional reads what may follow the public key: the obsolete unique identifiers, and the extensions.
func (c *certificate) readOptional(tbs cryptobyte.String) error {
	var all cryptobyte.String
	var present bool
	for _, tag := range []asn1.Tag{1, 2} {
		var id cryptobyte.String
		var one bool
		if !tbs.ReadOptionalASN1(&id, &one, tag.ContextSpecific()) {
			return errDER
		}
		c.uniqueID = c.uniqueID || one
	}
	if !tbs.ReadOptionalASN1(&all, &present, asn1.Tag(3).ContextSpecific().Constructed()) {
		return errDER
	}
	if err := end(tbs, "its extensions"); err != nil {
		return err
	}
	c.extensions = map[string]extension{}
	if !present {
		return nil
	}
	if c.version != 3 {
		return errors.New("it has extensions, but is not of version 3")
	}
	var list cryptobyte.String
	if !der.Strict(all) || !all.ReadASN1(&list, asn1.SEQUENCE) || !all.Empty() {
		return errDER
	}
	for !list.Empty() {
		if err := c.readExtension(&list); err != nil {
			return err
		}
	}
	return nil
}

func (c *certificate) readExtension(list *cryptobyte.String) error {
	var s, oid, critical, value cryptobyte.String
	var marked bool
	if !list.ReadASN1(&s, asn1.SEQUENCE) || !s.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!s.ReadOptionalASN1(&critical, &marked, asn1.BOOLEAN) || !s.ReadASN1(&value, asn1.OCTET_STRING) || !s.Empty() {
		return errors.New("an extension is malformed")
	}
	name := der.OID(oid)
	if _, twice := c.extensions[name]; twice {
		return fmt.Errorf("it has the extension %s twice", name)
	}
	if marked && critical[0] == 0 {
		return fmt.Errorf("extension %s says in so many words that it is not critical, which DER leaves out", name)
	}
	c.extensions[name] = extension{marked, value}
	return nil
}
