package rotateca

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrBackup reports that the backup before a rotation could not be requested, so there is no rotation.
var ErrBackup = problem.New(503, "backup_failed", "backup before the rotation failed").
	Says("The backup before the rotation could not be requested, so nothing was changed. Retry, or rotate " +
		"without one: backup=skip.").
	After(5 * time.Second)

// Backups requests backups of what a rotation changes.
type Backups interface {
	// Backup requests a backup of every table under this name, and returns the ARNs. It does not wait for their end: a
	// backup holds the table's content at the time of the request. Its name is 3 to 255 of [a-zA-Z0-9_.-].
	//
	// Errors: registry.ErrUnsupported where tables have no backups. After any other error a backup may still exist.
	Backup(ctx context.Context, name string) (arns []string, err error)
}

// BackupStatus says what became of the backup before a rotation.
type BackupStatus string

// The outcomes of a backup.
const (
	BackupRequested   BackupStatus = "requested"
	BackupUnsupported BackupStatus = "unsupported" // the store has none; on AWS it always has
	BackupSkipped     BackupStatus = "skipped"     // as the request wanted
)

// Backup is what to restore if everything should be as before.
type Backup struct {
	Status BackupStatus `json:"status"`
	ARNs   []string     `json:"arns"` // one of each table; never null
}

// details is the backup in an audit row.
func (b Backup) details() map[string]any {
	arns := []any{}
	for _, arn := range b.ARNs {
		arns = append(arns, arn)
	}
	return map[string]any{"status": string(b.Status), "arns": arns}
}

// backupRun is a backup request that runs in parallel with a rotation's first steps; nil where there is none to wait
// for.
type backupRun struct {
	end    context.CancelFunc
	done   chan struct{}
	backup Backup
	err    error
}

// backupTimeout leaves most of the lease to the rotation.
const backupTimeout = 10 * time.Second

// save begins to request the backup of a mode that swaps. It runs under the lease, because a table takes one request
// at a time and two operators at once would conflict. It runs in parallel with the read that follows, so it costs
// only the time by which it is slower. A rotation that is refused after that read may leave a backup: that is
// harmless, and rare.
func (w *run) save(ctx context.Context) {
	if m := w.req.Mode; m == Stage || m == Finalise || m == Cancel || m.steers() || !w.req.At.IsZero() {
		return
	}
	name := backupName(w.OrgID, w.req.Mode, w.held)
	ctx, cancel := context.WithTimeout(ctx, backupTimeout)
	s := &backupRun{end: cancel, done: make(chan struct{})}
	w.saving = s
	go func() {
		defer close(s.done)
		s.backup, s.err = w.backUp(ctx, name)
	}()
}

func (w *run) backUp(ctx context.Context, name string) (Backup, error) {
	if w.req.SkipBackup {
		return Backup{BackupSkipped, []string{}}, nil
	}
	if w.Backups == nil {
		return Backup{BackupUnsupported, []string{}}, nil
	}
	arns, err := w.Backups.Backup(ctx, name)
	if errors.Is(err, registry.ErrUnsupported) {
		return Backup{BackupUnsupported, []string{}}, nil
	}
	if err != nil {
		return Backup{}, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return Backup{BackupRequested, arns}, nil
}

// wait returns the backup. The rotation changes nothing before wait returns.
func (s *backupRun) wait() (Backup, error) {
	if s == nil {
		return Backup{}, nil
	}
	<-s.done
	return s.backup, s.err
}

// close ends an abandoned request: a function must leave no work behind.
func (s *backupRun) close() {
	if s == nil {
		return
	}
	s.end()
	<-s.done
}

const maxBackupName = 255

var notInBackupName = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)

// backupName names a backup for the operator who looks for it: the fence is in the rotation's audit row too.
func backupName(orgID string, mode Mode, held orgca.Lease) string {
	tail := fmt.Sprintf("-before-%s-f%d-%s", mode, held.Fence, held.Holder)
	name := notInBackupName.ReplaceAllString("mastio-"+orgID, "-")
	return name[:min(len(name), maxBackupName-len(tail))] + notInBackupName.ReplaceAllString(tail, "-")
}
