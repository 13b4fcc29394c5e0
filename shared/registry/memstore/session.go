package memstore

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
)

// sessions are the sign-ins to the dashboard.
type sessions struct {
	open  map[string]session.Session
	gates map[string]session.Gate
	epoch int64
}

// Session reads a session and the present epoch.
func (s *Store) Session(ctx context.Context, id string) (found *session.Session, epoch int64, err error) {
	err = s.read(ctx, "Session", "read a session", func() {
		epoch = s.sessions.epoch
		if v, ok := s.sessions.open[id]; ok {
			found = &v
		}
	})
	return found, epoch, err
}

// PutSession stores a session.
func (s *Store) PutSession(ctx context.Context, v session.Session) error {
	v.Created, v.Expires = stamp(v.Created), stamp(v.Expires)
	return s.write(ctx, "PutSession", "store a session", func() error {
		s.sessions.open[v.ID] = v
		return nil
	})
}

// DropSession deletes a session.
func (s *Store) DropSession(ctx context.Context, id string) error {
	return s.write(ctx, "DropSession", "delete a session", func() error {
		delete(s.sessions.open, id)
		return nil
	})
}

// EndSessions begins the next epoch.
func (s *Store) EndSessions(ctx context.Context) error {
	return s.write(ctx, "EndSessions", "end all sessions", func() error {
		s.sessions.epoch++
		return nil
	})
}

// Gates reads the gates of some keys.
func (s *Store) Gates(ctx context.Context, keys ...string) (gates []session.Gate, err error) {
	err = s.read(ctx, "Gates", "read how often was tried", func() {
		for _, key := range keys {
			g := s.sessions.gates[key]
			g.Key = key
			gates = append(gates, g)
		}
	})
	return gates, err
}

// PutGate stores a gate iff it is still as it was read. Nothing is ever forgotten here.
func (s *Store) PutGate(ctx context.Context, g session.Gate, _ time.Time) error {
	g.Last, g.Until = stamp(g.Last), stamp(g.Until)
	return s.write(ctx, "PutGate", "store how often was tried", func() error {
		if s.sessions.gates[g.Key].Version != g.Version {
			return registry.ErrConflict
		}
		g.Version++
		s.sessions.gates[g.Key] = g
		return nil
	})
}
