// Package truststore keeps the agents' domain's truststore object equal to the generations that belong in it.
package truststore

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrChanged reports that another writer replaced the object since it was read.
var ErrChanged = problem.New(503, "truststore_busy", "another writer replaced the truststore").
	Says("The truststore keeps changing. Nothing was rotated; retry.").
	After(time.Second)

// ErrStore reports that the object's store did not do as asked; the object may or may not have been replaced.
var ErrStore = problem.New(503, "truststore_unavailable", "truststore cannot be reached").
	Says("The truststore cannot be brought up to date. Nothing was rotated; retry.").
	After(5 * time.Second)

// Object is the truststore: one PEM file.
type Object struct {
	PEM     []byte
	ETag    string // empty: there is no object yet
	Version string // of the object; where the store keeps none, its ETag
}

// Objects keeps the truststore object.
type Objects interface {
	// Read returns the present object, the zero Object if there is none.
	Read(ctx context.Context) (Object, error)
	// Replace writes the object iff it still has ETag old (or does not exist, for the empty ETag) and returns its
	// version; otherwise ErrChanged.
	Replace(ctx context.Context, pem []byte, old string) (version string, err error)
}

// Store is what the object is made from.
type Store interface {
	Org(ctx context.Context) (registry.Org, error)
	EdgeCAs(ctx context.Context) ([]registry.EdgeCA, error)
}

// MaxEdgeCAs is how many foreign CAs the edge accepts, in addition to those of the organisation's own generations.
const MaxEdgeCAs = 100

// MaxOctets is the size of the largest truststore that API Gateway takes. Its other limit is 1,000 certificates. The
// CAs of others may take up a quarter of it.
const (
	MaxOctets = 1 << 20
	maxOthers = MaxOctets / 4
)

// Fits reports whether the edge can let in all these CAs of others.
func Fits(others []registry.EdgeCA) bool {
	return len(others) <= MaxEdgeCAs && octets(others) <= maxOthers
}

// Filling reports whether these CAs of others take up four fifths of what the edge can let in: time to look which
// agents need them.
func Filling(others []registry.EdgeCA) bool {
	return len(others) >= MaxEdgeCAs/5*4 || octets(others) >= maxOthers/5*4
}

func octets(others []registry.EdgeCA) (n int) {
	for _, ca := range others {
		n += len(Encode([][]byte{ca.DER}))
	}
	return n
}

// PEM returns what stands in the object: the organisation's own CAs, then those under which agents have SVIDs. What
// does not fit is left out, and of the own CAs that is the oldest.
func PEM(generations []orgca.Generation, others ...registry.EdgeCA) []byte {
	own := orgca.EdgeBundle(generations)
	var foreign [][]byte
	for _, ca := range others[:min(len(others), MaxEdgeCAs)] {
		if !slices.ContainsFunc(own, func(der []byte) bool { return bytes.Equal(der, ca.DER) }) {
			foreign = append(foreign, ca.DER)
		}
	}
	last := fitting(foreign, maxOthers)
	return append(fitting(own, MaxOctets-len(last)), last...)
}

// fitting encodes certificates from the first on, as many as fit.
func fitting(certificates [][]byte, limit int) []byte {
	var out []byte
	for _, der := range certificates {
		next := Encode([][]byte{der})
		if len(out)+len(next) > limit {
			break
		}
		out = append(out, next...)
	}
	return out
}

// Encode returns certificates, DER, as PEM.
func Encode(certificates [][]byte) []byte {
	var out bytes.Buffer
	for _, der := range certificates {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.Bytes()
}

// Sync brings the object up to date and returns its version. It writes only if something is missing or left over.
// The store is asked at each try, so that a lost race is decided on the present state.
func Sync(ctx context.Context, o Objects, s Store) (version string, err error) {
	for range 3 {
		present, err := o.Read(ctx)
		if err != nil {
			return "", fmt.Errorf("read the truststore: %w", err)
		}
		org, err := s.Org(ctx)
		if err != nil {
			return "", err
		}
		others, err := s.EdgeCAs(ctx)
		if err != nil {
			return "", err
		}
		want := PEM(org.Generations, others...)
		if bytes.Equal(present.PEM, want) {
			return present.Version, nil
		}
		if version, err = o.Replace(ctx, want, present.ETag); !errors.Is(err, ErrChanged) {
			return version, err
		}
	}
	return "", ErrChanged
}
