package agent

import (
	"encoding/base64"
	"encoding/hex"
)

// ProvedKey is the first half of the SHA-256 that names a key, as KeyID is: of a certified key, its
// SubjectPublicKeyInfo; of a DPoP key, its thumbprint of RFC 7638. It tells the keys of a whole fleet apart, and
// accuses an agent, so it is longer than a KeyID.
type ProvedKey [16]byte

// ID names the key among the keys of one agent.
func (k ProvedKey) ID() KeyID { return KeyID(k[:len(KeyID{})]) }

// ProvedKeys returns the names of a certified key (in the form of Pin.Key) and of a DPoP key (by its thumbprint). What
// is empty has none.
func ProvedKeys(key, jkt string) (names []ProvedKey) {
	add := func(octets []byte, err error) {
		var name ProvedKey
		if err == nil && copy(name[:], octets) == len(name) {
			names = append(names, name)
		}
	}
	add(hex.DecodeString(key))
	add(base64.RawURLEncoding.DecodeString(jkt))
	return names
}
