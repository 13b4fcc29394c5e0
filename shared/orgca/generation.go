// Package orgca holds the generations of an organisation's CA and decides which generations count. Its lease is the
// rotation lock: which holder may change the Org CA now, and which of two holders is the later one.
package orgca

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// Errors of a change of generation.
var (
	ErrAwaited = problem.New(503, "org_ca_awaited", "the organisation has no Org CA yet and waits for its operator's").
			Says("There is no Org CA yet: this installation waits for yours (MASTIO_FIRST_CA=adopt). Bring it with " +
			"POST /pki/rotate-ca?mode=upload, then send this request again.").AtToken("temporarily_unavailable")
	ErrMissing = problem.New(503, "org_ca_missing", "the organisation has no Org CA yet").
			Says("The first Org CA is still being made. Retry.").
			After(5 * time.Second)
	ErrTransition = problem.Internal("generation cannot change its state like that")
	ErrSource     = problem.Internal("unknown source of an Org CA")
	// ErrLegacy is also the log line that the operator's guide promises, in its words.
	ErrLegacy = problem.New(503, "org_ca_legacy", "MCP_PROXY_STRICT_PKI=1 refuses boot on legacy Org CA. Run POST "+
		"/pki/rotate-ca.").
		Says("MCP_PROXY_STRICT_PKI=1 refuses boot on legacy Org CA. Run POST /pki/rotate-ca.").
		AtToken("temporarily_unavailable")
)

// State is where a generation stands in its life:
//
//	preparing → staged → current → superseded → retired
//
// and failed, from preparing or staged, for one that never became current. Exactly one generation is current.
type State string

// The states.
const (
	Preparing  State = "preparing"  // its row is written before its first key, so that no key is ever without a row
	Staged     State = "staged"     // complete and verified; nothing is issued under it
	Current    State = "current"    // issues
	Superseded State = "superseded" // issues nothing more; its certificates verify until their end
	Retired    State = "retired"    // no pin counts under it, nor can any again
	Failed     State = "failed"     // never current
)

var transitions = map[State][]State{
	"":         {Preparing},
	Preparing:  {Preparing, Staged, Failed},
	Staged:     {Staged, Current, Failed},
	Current:    {Superseded},
	Superseded: {Current, Retired},
}

// Source is where a generation's root key was made.
type Source string

// The sources.
const (
	Mint   Source = "mint"   // in KMS
	Upload Source = "upload" // by the operator
)

// Generation is one Org CA: its certificates and the names of its keys, never a key itself.
// Version is the record's own, as read; zero: not stored yet.
type Generation struct {
	Number     int64 // 1, 2, …; never used twice
	State      State
	RotationID string // of the work that makes it; its keys are tagged with it
	Source     Source
	Reason     string
	Left       string // the reason for which it was superseded; empty: it was not, or by an earlier release
	Actor      string

	RootKey    string   // KMS key ARN
	IssuingKey string   // KMS key ARN; empty under a legacy root, which issues without an issuing CA
	Root       []byte   // DER
	Issuing    []byte   // DER; empty under a legacy root
	Above      [][]byte // DER; what stands above an uploaded CA that is no root, up to the root

	Subject   string // of the root, RFC 4514
	NotBefore time.Time
	NotAfter  time.Time
	Legacy    bool // the root's encoded pathLenConstraint is 0

	Truststore string // version of the truststore object that first held it; empty: none yet

	CreatedAt    time.Time
	StagedAt     time.Time
	CurrentAt    time.Time
	SupersededAt time.Time
	RetiredAt    time.Time // of a failed one: when its keys were scheduled for deletion

	// Superseding is the fence of the swap that superseded it, once its signing key's tag in KMS records the fence too;
	// zero: not yet, or undone. A registry that was restored from before that swap does not know the swap; the key does.
	Superseding int64
	Version     int64
}

// Fingerprint is the lower-case hex SHA-256 of the Org CA's certificate, DER; empty while there is none. The Org CA is
// the root of a minted generation, and of an uploaded one the certificate whose key was uploaded with it.
func (g Generation) Fingerprint() string {
	if len(g.Root) == 0 {
		return ""
	}
	sum := sha256.Sum256(g.Root)
	return hex.EncodeToString(sum[:])
}

// Chain returns the DER of the certificates from the one that issues agents' certificates up to the root.
func (g Generation) Chain() [][]byte {
	chain := append([][]byte{g.Root}, g.Above...)
	if len(g.Issuing) == 0 {
		return chain
	}
	return append([][]byte{g.Issuing}, chain...)
}

// Own returns the CA certificates of the generation that are the Mastio's own: the Org CA and the issuing CA below
// it. The certificates above an uploaded Org CA belong to the operator's PKI.
func (g Generation) Own() ([]*x509.Certificate, error) {
	var own []*x509.Certificate
	for _, der := range [][]byte{g.Root, g.Issuing} {
		if len(der) == 0 {
			continue
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("read a certificate of generation %d: %w", g.Number, err)
		}
		own = append(own, c)
	}
	return own, nil
}

// SigningKey names the KMS key that issues agents' certificates.
func (g Generation) SigningKey() string { return cmp.Or(g.IssuingKey, g.RootKey) }

// To returns the generation in another state, with the time it came there, or ErrTransition.
func (g Generation) To(next State, now time.Time) (Generation, error) {
	if !slices.Contains(transitions[g.State], next) {
		return g, fmt.Errorf("%w: generation %d from %q to %q", ErrTransition, g.Number, g.State, next)
	}
	switch {
	case g.State == next:
	case next == Preparing:
		g.CreatedAt = now
	case next == Staged:
		g.StagedAt = now
	case next == Current:
		g.CurrentAt, g.SupersededAt, g.Left = now, time.Time{}, ""
	case next == Superseded:
		g.SupersededAt = now
	case next == Retired:
		g.RetiredAt = now
	}
	g.State = next
	return g, nil
}

// Trusted reports whether verifiers should trust the generation's certificates. This includes superseded generations:
// auditors still verify with them.
func (g Generation) Trusted() bool {
	return g.State == Current || g.State == Superseded || g.State == Staged
}

// Published returns the certificates, DER, that verifiers get to trust, from the newest generation to the oldest:
// those of every trusted generation that is not spent at now. A generation that a rotation for a compromise has
// superseded is spent with the swap; its record only says so once the standby job has retired it.
func Published(generations []Generation, p Pointer, now time.Time) [][]byte {
	return certificates(generations, func(g Generation) bool { return g.Trusted() && !p.Spent(g, now) })
}

// TrustBundle returns the certificates, DER, of every trusted generation, from the newest to the oldest.
func TrustBundle(generations []Generation) [][]byte {
	return certificates(generations, Generation.Trusted)
}

// MaxEdge is how many generations the edge's truststore holds at most: API Gateway takes 1,000 certificates, and an
// uploaded generation has up to five.
const MaxEdge = 180

// EdgeBundle returns the CAs, DER, that the agents' edge trusts: those of the trust bundle, then those of retired
// generations as far as there is room. An edge that refused an old certificate would hide the documented answer, that
// it has been revoked. The edge only lets a connection in; the pins decide whether a certificate authenticates.
func EdgeBundle(generations []Generation) [][]byte {
	known := func(g Generation) bool { return g.Trusted() || g.State == Retired }
	ordered := newestFirst(generations, known)
	return certificates(ordered[:min(len(ordered), MaxEdge)], known)
}

func newestFirst(generations []Generation, keep func(Generation) bool) []Generation {
	kept := slices.DeleteFunc(slices.Clone(generations), func(g Generation) bool { return !keep(g) })
	slices.SortFunc(kept, func(a, b Generation) int { return cmp.Compare(b.Number, a.Number) })
	return kept
}

// certificates lists each generation's own root first, then its issuing CA, then what is above it; each certificate
// once. A swap changes no generation's place: an object written before a rotation is still up to date after it.
func certificates(generations []Generation, keep func(Generation) bool) [][]byte {
	var all [][]byte
	seen := map[string]bool{}
	for _, g := range newestFirst(generations, keep) {
		for _, der := range append([][]byte{g.Root, g.Issuing}, g.Above...) {
			if len(der) > 0 && !seen[string(der)] {
				seen[string(der)] = true
				all = append(all, der)
			}
		}
	}
	return all
}
