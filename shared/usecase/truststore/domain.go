package truststore

import (
	"context"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrBusy reports that the domain takes no update now.
var ErrBusy = problem.Internal("domain is busy")

// DomainStatus says what a domain is at.
type DomainStatus string

// The states of a domain. An edge reports every other state as Updating: the domain is not known to serve the version
// that it names.
const (
	Available DomainStatus = "available" // it serves the version that it names
	Updating  DomainStatus = "updating"  // it serves that version, or still another
	Failed    DomainStatus = "failed"    // its last update was not carried out
	Absent    DomainStatus = "absent"    // there is no domain
)

// DomainState is how the agents' domain stands to the truststore.
type DomainState struct {
	Version  string // of the object, as set at the domain
	Status   DomainStatus
	Warnings []string // what it finds wrong with the object
}

// Domain is the agents' custom domain. A new version of the object does nothing until the domain is pointed at it.
type Domain interface {
	// Present asks how the domain stands. Errors: ErrBusy when it was asked too often.
	Present(ctx context.Context) (DomainState, error)
	// Point has the domain serve a version. It does not wait for that, which takes minutes, or longer. Pointing it at the
	// version that it has is harmless.
	//
	// Errors: ErrBusy while another update is under way, or was a moment ago.
	Point(ctx context.Context, version string) (DomainState, error)
}

// NoDomain is the domain of a deployment without one: readers of the object read its newest version.
type NoDomain struct{}

// Present says that there is none.
func (NoDomain) Present(context.Context) (DomainState, error) {
	return DomainState{Status: Absent}, nil
}

// Point does nothing.
func (NoDomain) Point(context.Context, string) (DomainState, error) {
	return DomainState{Status: Absent}, nil
}
