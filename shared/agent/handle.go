package agent

import (
	"crypto/sha256"
	"encoding/base64"
)

// Handle stands in an agent's access tokens for the agent's present certificates and capabilities. A change that ends
// one of them for all earlier tokens gives the agent another handle. So the earlier tokens can be named without the
// agent's name, and without a clock that says which tokens are the earlier ones.
//
// The zero Handle belongs to a record that an earlier release wrote. The next change of the record gives it one.
type Handle [16]byte

// NewHandle returns the handle that a change with this id gives an agent. It says nothing of the id.
func NewHandle(change string) (h Handle) {
	sum := sha256.Sum256([]byte("handle of access tokens since change " + change))
	copy(h[:], sum[:])
	return h
}

// String is the handle's form in access tokens and the status document: base64url, or empty for the zero Handle.
func (h Handle) String() string {
	if h == (Handle{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(h[:])
}
