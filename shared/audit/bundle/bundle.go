// Package bundle is the file that an auditor gets: a history of chains with the checkpoints that seal it. A Verifier
// checks that nothing in it was changed and nothing is missing.
//
// It is a tar.gz of five members, written in this order. A reader accepts any order, compressed or not, or a folder:
//
//	manifest.json     what is in here; it proves nothing
//	signing-key.pem   public halves of the keys that signed the checkpoints
//	checkpoints.json  the checkpoints, each with its leaves
//	events.ndjson     the rows
//	README.txt        what this is and how to verify it, for a person; it may be missing
//
// The rows are those of the first checkpoint's first leaf, of its second, and so on; then the unsealed ones.
// Rows stand in the order of the leaves that cover them, so a reader reads both lists in parallel, in constant
// memory.
package bundle

import (
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrForm reports a file that is not a bundle.
var ErrForm = problem.Internal("not an audit bundle")

// Type names the form of a bundle.
const Type = "mastio-audit-bundle/v1"

// The members of the archive.
const (
	ManifestFile    = "manifest.json"
	KeyFile         = "signing-key.pem"
	CheckpointsFile = "checkpoints.json"
	EventsFile      = "events.ndjson"
)

// ReadmeFile explains a bundle to a person. It proves nothing, so a reader neither needs nor looks at it.
const ReadmeFile = "README.txt"

var members = []string{ManifestFile, KeyFile, CheckpointsFile, EventsFile, ReadmeFile}

// Manifest says what a bundle holds.
type Manifest struct {
	Type         string `json:"type"`
	OrgID        string `json:"org_id"`
	MadeAt       string `json:"made_at"`
	First        int64  `json:"first_checkpoint"` // 0: none
	Last         int64  `json:"last_checkpoint"`
	Rows         int64  `json:"rows"`
	UnsealedRows int64  `json:"unsealed_rows"` // of Rows, those after the last checkpoint
	Complete     bool   `json:"complete"`      // there was nothing after it when it was made
}

// FullCheckpoint is a checkpoint with its leaves, in the order of their subjects.
type FullCheckpoint struct {
	audit.SignedCheckpoint
	Leaves []audit.Leaf
}
