package authn

import (
	"context"
	"crypto/x509"
	"sync/atomic"

	"github.com/mastio-aws/mastio/shared/orgca"
)

// Own remembers the CAs that are, or ever were, the Org CA or its issuing CA. No path from an SVID to a bundle leads
// through one of them. Enrolment refuses such bundles, but a bundle may have been stored before its CA became the Org
// CA, by an earlier release, or may hold a CA above an uploaded one. No path to one generation leads through the CA of
// another one either: a cross-certificate would let its key count on.
//
// They are read again when the pointer has moved, so a request costs no read for them. A remembered CA only
// refuses and never lets in. The zero value works; it is safe for concurrent use.
type Own struct{ last atomic.Pointer[ownCAs] }

type ownCAs struct {
	fence        int64
	certificates []*x509.Certificate
}

// certificates returns the CAs as of the pointer p. A nil Own reads them at each call. Error: registry.ErrUnavailable.
func (o *Own) certificates(ctx context.Context, store Store, p orgca.Pointer) ([]*x509.Certificate, error) {
	if o != nil {
		if last := o.last.Load(); last != nil && last.fence == p.Fence {
			return last.certificates, nil
		}
	}
	org, err := store.Org(ctx)
	if err != nil {
		return nil, err
	}
	own, err := org.Owned()
	if err != nil {
		return nil, err
	}
	found := &ownCAs{fence: p.Fence, certificates: own}
	if o != nil && org.Pointer != nil && org.Pointer.Fence == p.Fence {
		o.last.Store(found)
	}
	return found.certificates, nil
}
