package verifier

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// The form of the status document, which says what died lately.
const (
	StatusPath      = "/.well-known/mastio-status"
	StatusType      = "mastio-status+jwt" // typ of the JWS
	StatusMediaType = "application/" + StatusType
	StatusSize      = 512 << 10           // octets, at most, of the compact JWS; 2,000 entries are less than half of it
	StatusEntries   = 2000                // at most
	StatusMaxAge    = 5 * time.Minute     // what the Mastio writes as max_age
	MaxTokenLife    = accesstoken.MaxLife // the longest life of a token: for that long a status names what died
	statusSkew      = 5 * time.Second     // how far the clock of the instance that signed may be ahead of the reader's
	maxGenerations  = 64
)

// Document is a status: what must no longer be accepted although its signature and its dates hold. A token is dead if
// it was issued before NotBefore, if its generation is neither 0 nor one of Generations, or if it was issued before
// the NotBefore of an entry of its certificate or of its handle. Times have whole seconds.
type Document struct {
	Issuer      string
	IssuedAt    time.Time // before what it says was read
	Seq         int64     // rises whenever anything but IssuedAt changes
	MaxAge      time.Duration
	Generations []int64   // of the Org CA that are accepted
	NotBefore   time.Time // optional
	Dead        []Entry
}

// Entry says from when on tokens of one certificate, or of one handle, are not dead. It has one of the two.
type Entry struct {
	X5T       string    // x5t#S256 of the certificate
	Handle    string    // of tokens: accesstoken.Claims.Handle
	NotBefore time.Time // may lie in the future, where all tokens are dead
}

// statusPayload is how a document is written.
type statusPayload struct {
	Issuer      string        `json:"iss"`
	IssuedAt    int64         `json:"iat,omitempty"`
	Seq         int64         `json:"seq,omitempty"`
	MaxAge      int64         `json:"max_age"`
	Generations []int64       `json:"generations"`
	NotBefore   int64         `json:"not_before,omitempty"`
	Dead        []statusEntry `json:"dead"`
}

type statusEntry struct {
	X5T       string `json:"x5t#S256,omitempty"`
	Handle    string `json:"handle,omitempty"`
	NotBefore int64  `json:"not_before"`
}

// payload has generations and entries in one order, whatever theirs is.
func (d Document) payload() statusPayload {
	p := statusPayload{
		Issuer:      d.Issuer,
		IssuedAt:    d.IssuedAt.Unix(),
		Seq:         d.Seq,
		MaxAge:      int64(d.MaxAge / time.Second),
		Generations: append([]int64{}, d.Generations...),
		Dead:        make([]statusEntry, len(d.Dead)),
	}
	if !d.NotBefore.IsZero() {
		p.NotBefore = d.NotBefore.Unix()
	}
	for i, e := range d.Dead {
		p.Dead[i] = statusEntry{e.X5T, e.Handle, e.NotBefore.Unix()}
	}
	slices.Sort(p.Generations)
	slices.SortFunc(p.Dead, func(a, b statusEntry) int {
		return cmp.Or(cmp.Compare(a.X5T, b.X5T), cmp.Compare(a.Handle, b.Handle), cmp.Compare(a.NotBefore, b.NotBefore))
	})
	return p
}

// Digest is the SHA-256 of everything but IssuedAt and Seq. The order of generations and of entries makes no
// difference.
func (d Document) Digest() [sha256.Size]byte {
	p := d.payload()
	p.IssuedAt, p.Seq = 0, 0
	text, err := json.Marshal(p)
	if err != nil { // a struct of texts and numbers
		panic("verifier: " + err.Error())
	}
	return sha256.Sum256(text)
}

// Sign returns the document as a compact JWS. key is one whose public half is in the JWKS as kid. A document that
// ReadStatus would refuse, and a refusal by the signer, are errors.
func (d Document) Sign(kid string, key crypto.Signer) (string, error) {
	if err := d.check(); err != nil {
		return "", fmt.Errorf("status: %w", err)
	}
	return jose.SignLimited(StatusType, kid, d.payload(), key, StatusSize)
}

// check is what signing and reading both demand of a document.
func (d Document) check() error {
	switch {
	case d.Issuer == "":
		return errors.New("iss is missing")
	case d.IssuedAt.Unix() <= 0:
		return errors.New("iat is missing")
	case d.Seq <= 0:
		return errors.New("seq is not positive")
	case d.MaxAge < time.Second:
		return errors.New("max_age is not positive")
	case len(d.Generations) > maxGenerations:
		return fmt.Errorf("more than %d generations", maxGenerations)
	case len(d.Dead) > StatusEntries:
		return fmt.Errorf("more than %d entries", StatusEntries)
	}
	for _, e := range d.Dead {
		if (e.X5T == "") == (e.Handle == "") || e.NotBefore.Unix() <= 0 {
			return errors.New("an entry has not exactly one name and a date")
		}
	}
	return nil
}

// ReadStatus returns the document that one of the Mastio's keys signed. keys returns the public key of a kid, or nil.
// Every error is ErrStatus. Whether the document is of the right issuer, fresh, and no older than what is known, is for
// Status.Learn to judge.
func ReadStatus(compact string, keys func(kid string) *ecdsa.PublicKey) (Document, error) {
	d, err := readStatus(compact, keys)
	if err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrStatus, err)
	}
	return d, nil
}

func readStatus(compact string, keys func(kid string) *ecdsa.PublicKey) (d Document, err error) {
	msg, err := jose.ParseLimited(compact, StatusSize, jose.Algorithm)
	if err != nil {
		return d, err
	}
	// Exactly this value: a token that is signed with the same key must not serve as a status.
	if typ, err := msg.Header.Text("typ"); err != nil || typ != StatusType {
		return d, errors.New("typ is not " + StatusType)
	}
	kid, err := msg.Header.Text("kid")
	if err != nil || kid == "" {
		return d, errors.New("kid is missing")
	}
	key := keys(kid)
	if key == nil {
		return d, errors.New("kid is unknown")
	}
	o, err := msg.Claims(key)
	if err != nil {
		return d, err
	}
	if d, err = statusOf(o); err != nil {
		return d, err
	}
	return d, d.check()
}

func statusOf(o jose.Object) (d Document, err error) {
	if d.Issuer, err = o.Text("iss"); err != nil {
		return d, err
	}
	if d.IssuedAt, err = o.Time("iat"); err != nil {
		return d, err
	}
	if d.Seq, err = o.Int("seq"); err != nil {
		return d, err
	}
	age, err := o.Int("max_age")
	if err != nil || age > int64(MaxTokenLife/time.Second) {
		return d, errors.New("max_age is not a number of seconds")
	}
	d.MaxAge = time.Duration(age) * time.Second
	if d.NotBefore, err = o.Time("not_before"); err != nil {
		return d, err
	}
	if json.Unmarshal(o["generations"], &d.Generations) != nil || d.Generations == nil {
		return d, errors.New("generations is not an array of integers")
	}
	var entries []jose.Object // whose members are unique: the document's reader has seen to it
	if json.Unmarshal(o["dead"], &entries) != nil || entries == nil {
		return d, errors.New("dead is not an array of objects")
	}
	d.Dead = make([]Entry, len(entries))
	for i, e := range entries {
		if d.Dead[i], err = entryOf(e); err != nil {
			return d, err
		}
	}
	return d, nil
}

func entryOf(o jose.Object) (e Entry, err error) {
	if e.X5T, err = o.Text("x5t#S256"); err != nil {
		return e, err
	}
	if e.Handle, err = o.Text("handle"); err != nil {
		return e, err
	}
	e.NotBefore, err = o.Time("not_before")
	return e, err
}
