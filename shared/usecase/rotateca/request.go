package rotateca

import (
	"fmt"
	"regexp"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
)

// Errors of a request.
var (
	ErrMode = problem.New(400, "mode_unknown", "unknown mode").
		Says("mode takes mint, upload, stage (with source=mint or source=upload), commit, rollback, finalise or cancel.")
	ErrFingerprint = problem.New(400, "fingerprint_invalid", "fingerprint is malformed").
			Says("fingerprint goes with mode=commit, and is the 64 hex digits that the pre-flight showed.")
	ErrNotStaged = problem.New(404, "staged_ca_not_found", "no staged Org CA has this fingerprint").
			Says("No staged Org CA has this fingerprint. POST /pki/rotate-ca?mode=stage shows the one that is " +
			"staged; it may have been committed already.")
	ErrMoved = problem.New(409, "org_ca_moved", "the current Org CA is not the one that the request expects").
			Says("The current Org CA is not the one that this request expects. Nothing was changed. Look at the " +
			"present state, and send the request again if you still want it.")
	ErrAwaited = problem.New(409, "adoption_pending", "the first Org CA is the operator's to bring").
			Says("This installation waits for an Org CA of yours (MASTIO_FIRST_CA=adopt), and one made here would end that " +
			"for good, so nothing was made. Bring yours with mode=upload; or, to have one made, start without " +
			"MASTIO_FIRST_CA=adopt.")
	ErrDryRun = problem.New(400, "dry_run_unsupported", "this mode has no dry run").
			Says("dry_run goes with mode=mint, mode=upload, mode=commit and mode=finalise.")
	ErrSafe = problem.New(400, "if_safe_unsupported", "if_safe does not apply to this mode").
		Says("if_safe goes with mode=finalise.")
	ErrUpload = problem.New(400, "upload_invalid", "upload is incomplete").
			Says("mode=upload takes the files ca_cert and ca_key.")
	ErrStrict = problem.New(409, "strict_pki", "a legacy Org CA may not become current").
			Says("MCP_PROXY_STRICT_PKI=1 lets no legacy Org CA (pathLen=0) become current, so there is no way " +
			"back to it.")
)

// Mode is what a request wants of the Org CA.
type Mode string

// The modes.
const (
	Mint     Mode = "mint"     // the standby, or a CA made now, becomes current
	Upload   Mode = "upload"   // the operator's CA becomes current; on an empty organisation: is adopted
	Stage    Mode = "stage"    // as mint, up to but without the swap: the pre-flight
	Commit   Mode = "commit"   // the staged CA with the given fingerprint becomes current
	Rollback Mode = "rollback" // the previous CA becomes current again, and with it its pins
	Finalise Mode = "finalise" // ends an overlap now, and with it the way back
	Cancel   Mode = "cancel"   // ends a scheduled rotation, or the warning that it was dropped
	// of the re-issue; POST /pki/rotate-ca/reissue has them as actions
	Pause    Mode = "reissue_pause"
	Resume   Mode = "reissue_resume"
	SkipWave Mode = "reissue_skip_wave" //nolint:gosec // a mode, no credential
	Return   Mode = "reissue_rollback"  // as Rollback, and what is left is accepted until its agents are back
)

// Request asks for a change of the Org CA.
type Request struct {
	audit.By
	Mode   Mode
	Upload *Files // the operator's CA, with Upload; with Stage: optional
	// Fingerprint is of the CA to commit: lower-case hex SHA-256 of its certificate. With Rollback and Finalise it may
	// be the fingerprint of the CA that the caller expects to become current, with Cancel of the one that is scheduled: a
	// request about an older state then changes nothing.
	Fingerprint    string
	Overlap        time.Duration // how long the superseded generation's pins still count; zero: they stop with the commit
	Moves          orgca.Moves   // in which waves agents are re-issued; with Overlap
	DryRun         bool          // say what would happen, and change nothing; with Mint, Upload, Commit and Finalise
	IfSafe         bool          // with Finalise: refuse while agents that are in use would lose their certificates
	SkipBackup     bool          // rotate without a backup before it
	Reason         string        // a reason.Code, in any case
	Comment        string        // free text for the audit trail; see reason.Statement
	At             time.Time     // with Mint and Commit: stage now, commit then; zero: commit now
	Plan           int64         // version of the plan that this request carries out: the schedule's alone
	Migration      bool          // away from a legacy root, automatically: orgca.ReasonLegacy is the reason
	IdempotencyKey string        // optional: the same key is answered with the first one's result for registry.AnswerTTL
}

// fingerprint is what an idempotency key stands for. Of an upload it is the certificates: they name the key.
// SkipBackup is not part of it: it changes nothing of the Org CA, and a request that is repeated without a backup
// must count as the same request.
func (r Request) fingerprint() string {
	named := fmt.Sprintf("%s fingerprint=%s overlap=%s reason=%s upload=%s comment=%q", r.Mode, r.Fingerprint, r.Overlap,
		r.Reason, r.Upload.digest(), r.Comment)
	if !r.At.IsZero() {
		named += " at=" + r.At.Format(time.RFC3339Nano)
	}
	if m := r.Moves; len(m.Waves) > 0 {
		named += fmt.Sprintf(" waves=%v hold=%s on_halt=%s", m.Waves, m.Hold, m.OnHalt)
	}
	if r.IfSafe {
		named += " if_safe"
	}
	return named
}

func (r Request) check() (Request, error) {
	given, err := reason.Read(r.Reason, r.Comment)
	if err != nil {
		return r, err
	}
	r.Reason = string(given.Code)
	if r.Migration {
		r.Reason = orgca.ReasonLegacy
	}
	if r.Overlap < 0 || r.Overlap > orgca.MaxOverlap || r.Overlap > 0 && !r.Mode.swaps() {
		return r, orgca.ErrOverlap
	}
	if r.Overlap > 0 && orgca.AtOnce(r.Reason) {
		return r, orgca.ErrCompromised
	}
	if err := r.Moves.Check(r.Overlap); err != nil {
		return r, err
	}
	if r, err = r.dated(); err != nil {
		return r, err
	}
	if r.DryRun && !r.Mode.swaps() && r.Mode != Finalise {
		return r, ErrDryRun
	}
	if r.IfSafe && r.Mode != Finalise {
		return r, ErrSafe
	}
	if r.Mode == Upload && r.Upload == nil || r.Mode != Upload && r.Mode != Stage && r.Upload != nil {
		return r, ErrUpload
	}
	if !r.Mode.takes(r.Fingerprint) {
		return r, ErrFingerprint
	}
	return r, nil
}

// takes reports whether a mode takes a fingerprint, empty for none.
func (m Mode) takes(fingerprint string) bool {
	switch m {
	case Commit:
		return fingerprintPattern.MatchString(fingerprint)
	case Rollback, Finalise, Cancel, Return:
		return fingerprint == "" || fingerprintPattern.MatchString(fingerprint)
	case Mint, Upload, Stage, Pause, Resume, SkipWave:
	}
	return fingerprint == ""
}

// matches reports whether g is the CA that the caller expects to become current. A request without a fingerprint
// matches any CA.
func (r Request) matches(g orgca.Generation) bool {
	return r.Fingerprint == "" || r.Fingerprint == g.Fingerprint()
}

// swaps reports whether a mode makes a new generation current.
func (m Mode) swaps() bool { return m == Mint || m == Upload || m == Commit }

var fingerprintPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
