package orgca

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// LongestAgent is the longest validity of an agent's certificate: 825 days (pki.MaxValidity).
const LongestAgent = 825 * 24 * time.Hour

// ErrNotValid reports an Org CA with a certificate that is not valid now: nothing can be issued under it.
var ErrNotValid = problem.New(503, "org_ca_not_valid", "the current Org CA is not valid now").
	Says("The current Org CA, or a certificate above it, is not valid now, so nothing was issued. " +
		"Rotate it: POST /pki/rotate-ca?mode=mint. GET /healthz names its dates.").
	AtToken("temporarily_unavailable")

// ErrUnfit reports a generation that may not become current, because a certificate of its chain is not valid now.
var ErrUnfit = problem.New(409, "ca_not_valid", "an Org CA that is not valid now may not become current").
	Says("This CA, or a certificate of its chain, is not valid now, so it cannot become current. Nothing was changed; " +
		"GET /pki/rotate-ca shows its dates. POST /pki/rotate-ca?mode=mint takes a CA that is valid.")

// Validity is when every certificate of a chain is valid. A zero end is not known.
type Validity struct{ From, Until time.Time }

// At reports whether the whole chain is valid at now.
func (v Validity) At(now time.Time) bool { return !v.Early(now) && !v.Late(now) }

// Early reports whether a certificate of the chain is not valid yet at now.
func (v Validity) Early(now time.Time) bool { return now.Before(v.From) }

// Late reports whether a certificate of the chain has ended at now.
func (v Validity) Late(now time.Time) bool { return !v.Until.IsZero() && now.After(v.Until) }

// Lasts reports whether the whole chain is still valid a time after now.
func (v Validity) Lasts(now time.Time, life time.Duration) bool { return !v.Late(now.Add(life)) }

// narrow cuts a validity to the certificates' validity too. It ignores an unreadable certificate: issuing under it
// fails anyway.
func (v Validity) narrow(chain [][]byte) Validity {
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		if cert.NotBefore.After(v.From) {
			v.From = cert.NotBefore
		}
		if v.Until.IsZero() || cert.NotAfter.Before(v.Until) {
			v.Until = cert.NotAfter
		}
	}
	return v
}

// Validity is when every certificate of the generation's chain is valid.
func (g Generation) Validity() Validity { return Validity{g.NotBefore, g.NotAfter}.narrow(g.Chain()) }

// Fit reports whether the generation may be taken unseen: its whole chain is valid at now, and stays so for as long as
// an agent's certificate can be asked for. An uploaded CA need not last so long (an agent's certificate is cut to its
// chain); a CA of the Mastio must.
func (g Generation) Fit(now time.Time) bool {
	v := g.Validity()
	return v.At(now) && v.Lasts(now, LongestAgent)
}

// Validity is when every certificate of the current chain is valid.
func (p Pointer) Validity() Validity { return Validity{Until: p.NotAfter}.narrow(p.Chain) }

// unfit is the ErrUnfit of a generation that is not valid at now.
func (g Generation) unfit(now time.Time) error {
	v := g.Validity()
	if v.At(now) {
		return nil
	}
	return fmt.Errorf("%w: generation %d is valid from %s to %s only", ErrUnfit, g.Number,
		v.From.UTC().Format(time.RFC3339), v.Until.UTC().Format(time.RFC3339))
}
