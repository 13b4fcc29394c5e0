package bundle

import (
	"bytes"
	"fmt"
)

// readme explains the bundle to the person who opens it. An auditor must not trust a fingerprint that comes with the
// rows, so the text says where to get the other one.
func (b *Builder) readme(m Manifest) []byte {
	var t bytes.Buffer
	fmt.Fprintf(&t, "Audit trail of %s\nmade at %s: %d rows", m.OrgID, m.MadeAt, m.Rows)
	if m.Last > 0 {
		fmt.Fprintf(&t, ", checkpoints %d to %d", m.First, m.Last)
	}
	t.WriteString("\n\nThe checkpoints were signed by the key with this fingerprint (SHA-256 of the public key):\n\n")
	for _, k := range b.keys {
		fmt.Fprintf(&t, "  %s\n", k.Fingerprint)
	}
	t.WriteString(readmeText)
	return t.Bytes()
}

const readmeText = `
Compare it with a fingerprint that did not come with this bundle: from the
operator in person, from an earlier audit, or from the Mastio itself:

  curl https://MASTIO/pki/audit-key.pem | openssl pkey -pubin -outform DER | sha256sum

Then verify the bundle. The command needs no network:

  mastio audit verify --key FINGERPRINT --report report.html BUNDLE

Exit status 0: everything holds, and that key signed it. 1: BROKEN. 2: not a
bundle. 5: consistent, but no key was named.

manifest.json     what is in here
signing-key.pem   the public key
checkpoints.json  signed statements about the ends of all chains
events.ndjson     the rows, one a line

Words in the rows:

seq, prev_hash, hash  number of the row in its chain; hash of the row before;
                      SHA-256 of this row (RFC 8785 form)
subject, actor        whom the row is about; who caused it
generation            an Org CA, counted from the first
cert_thumbprint       SHA-256 of a certificate
fence                 rises with each rotation: an older one cannot commit
leaves                ends of chains that a checkpoint covers
timestamp: off        no time-stamping authority is set

This file alone proves nothing.
`
