package bundle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// VerifierConfig says what an auditor demands beyond that the file agrees with itself. The zero value demands nothing
// more.
type VerifierConfig struct {
	Key        string // fingerprint of the signing key, known from elsewhere; empty: whatever the bundle brings along
	Checkpoint string // hash of a checkpoint seen before, which must still be part of the history; empty: none
	// the beginning may be missing: earlier parts of a bundle, or any row of an export, as after a filter
	Partial bool
	// Timestamp checks an RFC 3161 token over a digest. nil: tokens are counted, not checked.
	Timestamp func(token, digest []byte) (at time.Time, authority string, err error)
	Progress  func(rows int64) // called now and then; nil: never called
	// Row gets every row that holds, with the number of the checkpoint that covers it (0: none does), chain by chain in
	// order. nil: never called.
	Row func(r audit.Row, checkpoint int64)
}

// Verifier checks files, one after the other, as one history. Its memory follows the number of chains and of
// checkpoints, not the number of rows: a number and a hash for each. It is not safe for concurrent use.
type Verifier struct {
	VerifierConfig
	report Report

	sealed map[string]head     // by chain: how far the checkpoints go that were read
	said   map[int64]*rowClaim // by number: what the checkpoints say, for the rows that announce them
	last   audit.Checkpoint    // the one read last
	digest string              // its hash
	first  int64               // number of the first one read; 0: none was
	pinned bool                // VerifierConfig.Checkpoint was met
	events *events             // of event files

	unsealed int64 // chains that no checkpoint covers

	row  audit.Row // looked at now, for the report of a break
	line int64
	file string
}

// head is the end of a chain in few octets.
type head struct {
	seq  int64
	hash [32]byte
}

func (h head) of() audit.Head {
	if h.seq == 0 {
		return audit.Head{}
	}
	return audit.Head{Seq: h.seq, Hash: hex.EncodeToString(h.hash[:])}
}

func headOf(h audit.Head) (c head, err error) {
	if h.Seq == 0 {
		return head{}, nil
	}
	raw, err := hex.DecodeString(h.Hash)
	if err != nil || len(raw) != len(c.hash) || hex.EncodeToString(raw) != h.Hash {
		return head{}, fmt.Errorf("%w: %.80q is no hash", audit.ErrBroken, h.Hash)
	}
	c.seq = h.Seq
	copy(c.hash[:], raw)
	return c, nil
}

// rowClaim is what a checkpoint says that its row has to say as well.
type rowClaim struct {
	hash, token string // of the token, its SHA-256; empty: there is none
	met         bool
	bare        bool // known from the checkpoint behind it alone
}

// NewVerifier returns a Verifier.
func NewVerifier(cfg VerifierConfig) *Verifier {
	return &Verifier{VerifierConfig: cfg, sealed: map[string]head{}, said: map[int64]*rowClaim{}}
}

// Break is the first thing that is wrong.
type Break struct { //nolint:errname // the field's word for where a chain stops holding
	File    string `json:"file"`
	Line    int64  `json:"line,omitempty"`    // of the events
	Subject string `json:"subject,omitempty"` // the chain
	Seq     int64  `json:"seq,omitempty"`     // the row's number in it
	ID      string `json:"id,omitempty"`      // the row's id
	Reason  string `json:"reason"`
	Form    bool   `json:"-"` // the file is not a bundle, or only half of one: nothing shows that the trail was changed
}

// Error names file, row and reason.
func (b *Break) Error() string {
	at := b.File
	if b.Line > 0 {
		at += fmt.Sprintf(" line %d", b.Line)
	}
	if b.Subject != "" {
		at += fmt.Sprintf(", row %d of %s", b.Seq, b.Subject)
	}
	return at + ": " + b.Reason
}

// broken makes a Break of whatever is wrong, at the row looked at now.
func (v *Verifier) broken(format string, values ...any) *Break {
	return &Break{
		File:    v.file,
		Line:    v.line,
		Subject: v.row.Subject,
		Seq:     v.row.Seq,
		ID:      v.row.ID,
		Reason:  fmt.Sprintf(format, values...),
	}
}

// missing makes a Break at a row that is not there.
func (v *Verifier) missing(subject string, seq int64, format string, values ...any) error {
	return &Break{File: v.file, Line: v.line, Subject: subject, Seq: seq, Reason: fmt.Sprintf(format, values...)}
}

// because makes a Break of an error, unless it is one.
func (v *Verifier) because(err error) error {
	if b := (*Break)(nil); err == nil || errors.As(err, &b) {
		return err
	}
	b := v.broken("%v", err)
	b.Form = errors.Is(err, ErrForm)
	return b
}

// holds passes a row on that was checked.
func (v *Verifier) holds(r audit.Row, checkpoint int64) {
	if v.Row != nil {
		v.Row(r, checkpoint)
	}
}

// progressEvery is how many rows are checked between two calls of Progress.
const progressEvery = 1 << 14

// parse reads the row on a line. The line must be spelt exactly as it was written.
func (v *Verifier) parse(line []byte, number int64) (audit.Row, error) {
	v.line = number
	r, err := audit.Parse(line)
	v.row = r
	if err != nil {
		return r, v.because(err)
	}
	v.report.Rows++
	if v.Progress != nil && v.report.Rows%progressEvery == 0 {
		v.Progress(v.report.Rows)
	}
	return r, nil
}
