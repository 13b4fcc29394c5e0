package secrets

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/session"
)

// burst is how many wrong secrets of named admins cause a call at once; after them one a second does. A call that a
// right secret needs is not among them, so guesses keep no admin out whom the instance knows.
const burst = admin.Most

// Directory checks the secrets of named admins, each a secret of its own. A name that exists and one that does not cost
// the same calls: one for the first secret that is shown under it, and one for each wrong secret, at most one a second.
// It is safe for concurrent use.
type Directory struct {
	api    API
	prefix string // of the secrets' names
	now    func() time.Time
	log    *slog.Logger

	mu       sync.Mutex
	names    map[string]*record
	calls    float64 // that wrong secrets may still cause
	counted  time.Time
	failure  error
	failedAt time.Time
}

// record is the last look at a name.
type record struct {
	admin.Admin
	sum   [sha256.Size]byte
	found bool // there is a usable entry
	at    time.Time
	wrong time.Time // of the last look that a wrong secret caused
}

// NewDirectory returns a check against the secrets whose names are an admin's with the prefix.
func NewDirectory(api API, prefix string, now func() time.Time, log *slog.Logger) *Directory {
	return &Directory{api: api, prefix: prefix, now: now, log: log, names: map[string]*record{}, calls: burst}
}

// Check returns the admin whose secret was shown. A secret that was changed or deleted passes for at most a minute.
//
// Errors: ErrSecrets; session.ErrLocked while too many wrong secrets are shown, whether or not the name exists.
func (n *Directory) Check(ctx context.Context, name, secret string) (admin.Admin, bool, error) {
	sum := sha256.Sum256([]byte(secret))
	n.mu.Lock()
	defer n.mu.Unlock()
	known, now := n.known(name), n.now()
	if known.is(sum) {
		if now.Sub(known.at).Abs() < believe {
			return known.Admin, true, nil
		}
		return n.judge(ctx, name, sum)
	}
	if now.Sub(known.wrong).Abs() < recheck {
		return admin.Admin{}, false, nil
	}
	if n.failing(now) {
		return admin.Admin{}, false, n.failure
	}
	if !n.spend(now) {
		return admin.Admin{}, false, session.Locked(recheck)
	}
	return n.judge(ctx, name, sum)
}

// Still returns the admin of a name if its entry is still the version. It is the check of a session.
func (n *Directory) Still(ctx context.Context, name, version string) (admin.Admin, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.known(name)
	if r.at.IsZero() || n.now().Sub(r.at).Abs() >= believe {
		var err error
		if r, err = n.look(ctx, name); err != nil {
			return admin.Admin{}, false, err
		}
	}
	if !r.found || r.Version != version {
		return admin.Admin{}, false, nil
	}
	return r.Admin, true, nil
}

// known returns the last look at a name; without one a record that no secret matches, which takes as long to compare.
func (n *Directory) known(name string) *record {
	if r := n.names[name]; r != nil {
		return r
	}
	return &record{}
}

// is compares in constant time, with or without an entry.
func (r *record) is(sum [sha256.Size]byte) bool {
	same := subtle.ConstantTimeCompare(sum[:], r.sum[:]) == 1
	return same && r.found
}

// judge looks at the name and compares.
func (n *Directory) judge(ctx context.Context, name string, sum [sha256.Size]byte) (admin.Admin, bool, error) {
	r, err := n.look(ctx, name)
	if err != nil {
		return admin.Admin{}, false, err
	}
	if !r.is(sum) {
		r.wrong = r.at
		return admin.Admin{}, false, nil
	}
	return r.Admin, true, nil
}

// spend takes one call from those that wrong secrets may cause.
func (n *Directory) spend(now time.Time) bool {
	if waited := now.Sub(n.counted).Abs(); !n.counted.IsZero() {
		n.calls = min(burst, n.calls+waited.Seconds()/recheck.Seconds())
	}
	n.counted = now
	if n.calls < 1 {
		return false
	}
	n.calls--
	return true
}

// failing reports whether the last look failed less than a second ago.
func (n *Directory) failing(now time.Time) bool {
	return n.failure != nil && now.Sub(n.failedAt).Abs() < recheck
}

// look reads a name's secret: one call. A failed look is not repeated within a second, whatever the name.
func (n *Directory) look(ctx context.Context, name string) (*record, error) {
	now := n.now()
	if n.failing(now) {
		return nil, n.failure
	}
	out, err := n.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     aws.String(n.prefix + name),
		VersionStage: aws.String(string(Current)),
	})
	r := &record{at: now, wrong: n.known(name).wrong}
	switch {
	case err == nil:
		n.read(ctx, name, out, r)
	case !absent(err):
		n.failure, n.failedAt = fmt.Errorf("%w: %w", ErrSecrets, err), now
		return nil, n.failure
	}
	n.failure = nil
	n.remember(name, r)
	return r, nil
}

// read fills a record in with an entry. An entry that cannot be used admits no admin; the log says why.
func (n *Directory) read(ctx context.Context, name string, out *secretsmanager.GetSecretValueOutput, r *record) {
	e, err := admin.ReadEntry([]byte(aws.ToString(out.SecretString)))
	if err != nil {
		n.log.WarnContext(ctx, "admin.entry", "name", name, "cause", err.Error())
		return
	}
	r.found, r.sum = true, sha256.Sum256([]byte(e.Secret))
	r.Admin = admin.Admin{
		Name:         name,
		Version:      cmp.Or(aws.ToString(out.VersionId), string(Current)),
		Role:         e.Role,
		Capabilities: e.Capabilities,
	}
}

// absent reports whether an answer means that there is no such secret. One that waits for its deletion is refused as an
// invalid request. For a name that it cannot resolve, AWS may refuse access instead, even where a policy covers the
// name: that answer must not show which names exist.
func absent(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case (&types.ResourceNotFoundException{}).ErrorCode(), (&types.InvalidRequestException{}).ErrorCode(),
		"AccessDeniedException":
		return true
	}
	return false
}

// remember keeps a record, and forgets the oldest of its kind where there are more than may be: guessed names do not
// displace those that exist.
func (n *Directory) remember(name string, r *record) {
	delete(n.names, name)
	var oldest string
	count := 0
	for other, o := range n.names {
		if o.found != r.found {
			continue
		}
		count++
		if oldest == "" || o.at.Before(n.names[oldest].at) {
			oldest = other
		}
	}
	if count >= admin.Most {
		delete(n.names, oldest)
	}
	n.names[name] = r
}
