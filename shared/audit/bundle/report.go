package bundle

import (
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Report is what was found.
type Report struct {
	OK bool `json:"ok"`
	// every checkpoint, and every row up to the last, was signed by a key of Config.Key
	Pinned      bool        `json:"pinned"`
	Break       *Break      `json:"break,omitempty"` // the first thing that is wrong
	OrgID       string      `json:"org_id,omitempty"`
	Rows        int64       `json:"rows"`
	Chains      int64       `json:"chains"`
	Checkpoints int64       `json:"checkpoints"`
	First       int64       `json:"first_checkpoint,omitempty"`
	Last        int64       `json:"last_checkpoint,omitempty"`
	LastHash    string      `json:"last_checkpoint_hash,omitempty"`
	SealedAt    string      `json:"sealed_at,omitempty"` // time of the last checkpoint, as the signer says
	Sealed      int64       `json:"sealed_rows"`
	Unsealed    int64       `json:"unsealed_rows"`
	Complete    bool        `json:"complete"` // says the one who made the bundle
	Partial     bool        `json:"partial,omitempty"`
	Keys        []ReportKey `json:"keys,omitempty"`
	Timestamps  Timestamps  `json:"timestamps"`
}

// ReportKey is a signing key of a bundle.
type ReportKey struct {
	Fingerprint string `json:"fingerprint"`
	Pinned      bool   `json:"pinned"` // the auditor knew it
}

// Timestamps counts checkpoints by what their timestamps are worth.
type Timestamps struct {
	Verified    int64     `json:"verified"`
	Unchecked   int64     `json:"unchecked"`
	Absent      int64     `json:"absent"`
	Authorities []string  `json:"authorities,omitempty"`
	Latest      time.Time `json:"latest,omitzero"`
}

func (r *Report) key(fingerprint string, pinned bool) {
	if !slices.ContainsFunc(r.Keys, func(k ReportKey) bool { return k.Fingerprint == fingerprint }) {
		r.Keys = append(r.Keys, ReportKey{fingerprint, pinned})
	}
}

func (r *Report) timestamp(at time.Time, authority string) {
	r.Timestamps.Verified++
	if at.After(r.Timestamps.Latest) {
		r.Timestamps.Latest = at
	}
	if !slices.Contains(r.Timestamps.Authorities, authority) {
		r.Timestamps.Authorities = append(r.Timestamps.Authorities, authority)
	}
}

// Finish checks what only the end shows, and reports. broken is what a file was found to break at; nil: none did.
func (v *Verifier) Finish(broken *Break) Report {
	if broken == nil {
		broken = v.finish()
	}
	v.report.Chains = int64(len(v.sealed)) + v.unsealed
	if v.events != nil {
		v.report.Chains += int64(len(v.events.ends))
	}
	v.report.OK, v.report.Break, v.report.Partial = broken == nil, broken, v.Partial && (v.events != nil || v.first > 1)
	v.report.Pinned = broken == nil && v.Key != "" && v.first > 0 && v.events == nil
	return v.report
}

func (v *Verifier) finish() *Break {
	at := func(err error) *Break {
		b, _ := err.(*Break) //nolint:errorlint // made right here
		return b
	}
	if v.events != nil {
		if b := at(v.gap()); b != nil {
			return b
		}
	}
	v.line, v.row = 0, audit.Row{}
	for number := v.first; number > 0 && number <= v.last.Number; number++ {
		if said := v.said[number]; !said.met {
			return at(v.broken("checkpoint %d has no row in the organisation's chain that announces it", number))
		}
	}
	switch {
	case v.Checkpoint != "" && !v.pinned:
		return at(v.broken("the checkpoint %s, seen before, is not part of this history", v.Checkpoint))
	case v.Key != "" && v.first == 0:
		return at(v.broken("nothing here was signed by the pinned key"))
	case v.events != nil && v.report.Rows == 0 && !v.Partial: // a bundle has a manifest, which says how much there is
		return at(v.broken("there is nothing in it: every organisation has rows, so the file was cut off, or a filter let " +
			"nothing through (--partial)"))
	}
	return nil
}
