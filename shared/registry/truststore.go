package registry

import "time"

// TruststoreStatus says how far the agents' domain has come with the truststore object.
type TruststoreStatus string

// The states.
const (
	TruststoreCurrent  TruststoreStatus = "current"  // it serves the object as it is
	TruststoreUpdating TruststoreStatus = "updating" // it was pointed at the object, and is not through yet
	TruststorePending  TruststoreStatus = "pending"  // it could not be pointed at the object yet
	TruststoreFailed   TruststoreStatus = "failed"   // it refused, or could not be asked
)

// Truststore is the truststore object and what the agents' domain was last seen to serve of it. Version is the record's
// own, as read; zero: not stored yet.
type Truststore struct {
	Object   string // version of the object
	Domain   string // version that the domain names; empty: none, or there is no domain
	Status   TruststoreStatus
	Warnings []string  // what the domain finds wrong with the object it serves
	Since    time.Time // since when it has not served the present object; zero: it does
	Version  int64
}
