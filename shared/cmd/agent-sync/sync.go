package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	roundTime   = 30 * time.Second // for Secrets Manager's answers of one round
	repeatAfter = time.Hour        // the same trouble is reported once in this time
)

// syncer keeps one directory in step with one secret. It is not safe for concurrent use.
type syncer struct {
	secret secret
	dir    string
	notify notifier
	now    func() time.Time
	log    *slog.Logger
	said   map[string]time.Time // which trouble was reported, and when
}

// follow goes on until ctx ends, or until the directory turns out to be unsafe.
func (s *syncer) follow(ctx context.Context, interval time.Duration) int {
	for {
		if status := s.round(ctx); status == unsafe && ctx.Err() == nil {
			return unsafe
		}
		select {
		case <-ctx.Done():
			s.log.Info("ended by a signal; the files stay", "dir", s.dir)
			return done
		case <-time.After(jittered(interval)):
		}
	}
}

// jittered spreads the agents of a fleet that were started together: a tenth either way.
func jittered(interval time.Duration) time.Duration {
	return interval - interval/10 + rand.N(interval/5+1) //nolint:gosec // no secret
}

// round brings the directory up to date once, and returns an exit status. One step's failure does not keep the others
// from being tried: a command that failed is run again while Secrets Manager cannot be reached.
func (s *syncer) round(ctx context.Context) (status int) {
	f, err := openFolder(s.dir, s.now)
	if err != nil {
		return s.report(ctx, err)
	}
	defer f.close()
	for _, step := range []func(context.Context, *folder) error{s.sweep, s.update, s.announce} {
		status = cmp.Or(status, s.report(ctx, step(ctx, f)))
	}
	if status == done && len(s.said) > 0 && ctx.Err() == nil {
		s.log.Info("in step with the secret again", "secret", s.secret.id, "dir", s.dir)
		clear(s.said)
	}
	return status
}

// report logs what happened and what to do next, unless it did so within the hour.
func (s *syncer) report(ctx context.Context, err error) int {
	status := statusOf(err)
	if err == nil || ctx.Err() != nil { // what a signal interrupted is no trouble
		return status
	}
	what, next := err.Error(), ""
	t, ok := errors.AsType[*trouble](err)
	if ok {
		what, next = t.what, t.next
	}
	if last, ok := s.said[what]; ok && s.now().Sub(last).Abs() < repeatAfter {
		return status
	}
	if s.said == nil {
		s.said = map[string]time.Time{}
	}
	s.said[what] = s.now()
	level := slog.LevelError
	if status == undelivered {
		level = slog.LevelWarn // the secret is made with the first delivery
	}
	args := []any{}
	if ok && t.cause != nil {
		args = append(args, "cause", t.cause.Error())
	}
	s.log.Log(ctx, level, what, append(args, "next", next)...)
	return status
}

func (s *syncer) sweep(_ context.Context, f *folder) error { return f.sweep() }

// update installs the current version of the secret if it is another than the directory's.
func (s *syncer) update(ctx context.Context, f *folder) error {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	have := f.look()
	id, err := s.secret.current(ctx)
	if err != nil || have.whole && have.Version == id {
		return err
	}
	v, err := s.secret.read(ctx)
	if err != nil || have.whole && have.Version == v.id {
		return err
	}
	next, err := open(v.value, s.now())
	if errors.Is(err, errEmpty) {
		return s.secret.nothingYet(nil)
	}
	if err != nil {
		return &trouble{refused, "version " + v.id + " of the secret is not used",
			"the installed files stay; ask the operator for rotate-cert if this does not pass with the next delivery", err}
	}
	if err := s.judge(next, v, have); err != nil {
		return err
	}
	if err := f.install(next, record{Version: v.id, Created: v.created}, have); err != nil {
		return err
	}
	s.log.Info("installed", "dir", s.dir, "agent_id", next.agent(), "secret_version", v.id,
		"issuer", next.leaf.Issuer.CommonName, "not_after", next.leaf.NotAfter.Format(time.RFC3339))
	return nil
}

// judge compares with the installed files. It takes an older certificate only from a newer version of the secret:
// otherwise the files were replaced by hand, or the label was moved back.
func (s *syncer) judge(next material, v delivery, have folderContent) error {
	switch {
	case !have.whole:
		return nil
	case have.agent() != next.agent():
		return &trouble{refused, fmt.Sprintf("%s holds the files of %s, and the secret is that of %s", s.dir, have.agent(),
			next.agent()),
			"give --dir another directory, or move the files away", nil}
	case next.leaf.NotBefore.Before(have.leaf.NotBefore) && (have.Version == "" || !v.created.After(have.Created)):
		return &trouble{refused, fmt.Sprintf("version %s of the secret is older than the files in %s", v.id, s.dir),
			"the newer files stay; the next delivery replaces them. To take the older ones all the same, move the files away",
			nil}
	}
	return nil
}

// announce runs the command and sends the signal, once for each set of files, and again until they succeed. A crash
// after the command and before the mark repeats them.
func (s *syncer) announce(ctx context.Context, f *folder) error {
	have := f.look()
	if s.notify.none() || !have.whole || have.Version == "" || f.isAnnounced(have.set) {
		return nil
	}
	if err := s.notify.run(ctx); err != nil {
		return err
	}
	return f.announce(have.set)
}
