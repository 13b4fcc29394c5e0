package inmemory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// admitted enrols an agent that gets tokens.
func admitted(t *testing.T, m *inmemory.Mastio, name string) enroll.Result {
	t.Helper()
	a, err := m.Admit(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func getsToken(t *testing.T, m *inmemory.Mastio, certPEM []byte) {
	t.Helper()
	if _, err := m.TokenFor(t.Context(), certPEM); err != nil {
		t.Errorf("token: %v", err)
	}
}

func sighting(t *testing.T, m *inmemory.Mastio, id agent.ID) registry.Sighting {
	t.Helper()
	found, err := m.Store.SeenAt(t.Context(), []agent.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	return found[id]
}

// An agent's tokens of one hour are one write, of an instance that has not noted the hour.
func TestSeenIsWrittenOnceAnHour(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	a := admitted(t, m, "busy")
	for hour := range 3 {
		before := m.Store.Calls()
		for range 50 {
			getsToken(t, m, a.Certificate.CertPEM)
			m.Advance(time.Minute)
		}
		after := m.Store.Calls()
		if got := after["Seen"] - before["Seen"]; got != 1 {
			t.Errorf("hour %d: 50 tokens wrote %d notes, want 1", hour, got)
		}
		if got := after["ViewSeen"] - before["ViewSeen"]; got != 1 || after["View"]-before["View"] != 49 {
			t.Errorf("hour %d: of 50 tokens' reads %d were of the note too, want 1", hour, got)
		}
		want := registry.SightingOf(a.Agent.ID, 1, m.Now().Add(-time.Minute))
		want.Interval = int64(min(hour, 1))
		if got := sighting(t, m, a.Agent.ID); got != want {
			t.Errorf("hour %d: got %+v, want %+v", hour, got, want)
		}
		m.Advance(10 * time.Minute)
	}
}

// Of many instances that give an agent tokens in one hour, one writes: the others read its note with the agent.
func TestSeenIsWrittenByOneInstance(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	a := admitted(t, m, "everywhere")
	before := m.Store.Calls()
	for range 5 {
		m.Process = m.Spawn(m.Now)
		for range 3 {
			getsToken(t, m, a.Certificate.CertPEM)
		}
	}
	after := m.Store.Calls()
	if writes, reads := after["Seen"]-before["Seen"], after["ViewSeen"]-before["ViewSeen"]; writes != 1 || reads != 5 {
		t.Errorf("five instances wrote %d notes and read %d, want 1 and 5", writes, reads)
	}
}

// Who gets no token was not seen.
func TestRefusedAgentIsNotSeen(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	a := admitted(t, m, "replaced")
	if _, err := m.Rotate(t.Context(), a.Agent.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := m.TokenFor(t.Context(), a.Certificate.CertPEM); err == nil {
		t.Fatal("the old certificate got a token")
	}
	if got := sighting(t, m, a.Agent.ID); got != (registry.Sighting{}) {
		t.Errorf("seen: %+v", got)
	}
}

// Whatever becomes of the note, the token is given. The next tokens repeat a note without an answer, three times in an
// hour, until they find it written.
func TestSeenFailsNoToken(t *testing.T) {
	for name, fault := range map[string]memstore.Fault{
		"lost": memstore.Lose, "happened without an answer": memstore.HalfAck, "refused": memstore.Refuse,
		"late": memstore.Late,
	} {
		t.Run(name, func(t *testing.T) {
			broken := true
			m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
				if op == "Seen" && broken {
					return fault
				}
				return memstore.None
			}})
			a := admitted(t, m, "unlucky")
			for range 10 {
				getsToken(t, m, a.Certificate.CertPEM)
			}
			tries := 3
			if fault == memstore.HalfAck {
				tries = 1
			}
			if got := m.Store.Calls()["Seen"]; got != tries {
				t.Errorf("10 tokens tried %d notes, want %d", got, tries)
			}
			broken = false
			m.Advance(time.Hour)
			getsToken(t, m, a.Certificate.CertPEM)
			m.Store.Deliver() // what is late does not undo what came after it
			if got, want := sighting(t, m, a.Agent.ID), registry.SightingOf(a.Agent.ID, 1, m.Now()); got.Hour != want.Hour {
				t.Errorf("in the next hour: got %+v, want %+v", got, want)
			}
		})
	}
}

// The instance that wrote no note is gone: the next one does.
func TestSeenAfterACrash(t *testing.T) {
	dead := true
	m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Seen" && dead {
			return memstore.Lose
		}
		return memstore.None
	}})
	a := admitted(t, m, "survivor")
	getsToken(t, m, a.Certificate.CertPEM)
	dead = false
	m.Process = m.Spawn(m.Now)
	getsToken(t, m, a.Certificate.CertPEM)
	if got, want := sighting(t, m, a.Agent.ID), registry.SightingOf(a.Agent.ID, 1, m.Now()); got.Hour != want.Hour {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// No token waits for a note that hangs, also while many do.
func TestSeenDelaysNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inmemory.Open(t, memstore.Config{Latency: func(op string) time.Duration {
			if op == "Seen" {
				return time.Hour
			}
			return 0
		}})
		m.Process = m.Spawn(m.Now, func(p *boot.Parts) { p.Background = nil })
		var certs [][]byte
		for _, name := range "abcdefghijklmnopqr" {
			certs = append(certs, admitted(t, m, string(name)).Certificate.CertPEM)
		}
		start := time.Now()
		for range 4 {
			for _, cert := range certs {
				getsToken(t, m, cert)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("%d tokens were delayed by %s", 4*len(certs), took)
		}
		synctest.Wait()
		if got := m.Store.Calls()["Seen"]; got != 16 {
			t.Errorf("%d notes are under way, want 16", got)
		}
		time.Sleep(time.Second) // in the bubble: all of them have ended
		synctest.Wait()
		getsToken(t, m, certs[0])
		synctest.Wait()
		if got := m.Store.Calls()["Seen"]; got != 17 {
			t.Errorf("%d notes were tried, want 17: those that hung have made room", got)
		}
		time.Sleep(time.Second)
	})
}

// A note between the read and the write of a rotation, and a rotation in the middle of a note.
func TestSeenNeverConflictsWithARotation(t *testing.T) {
	m, times := meddled(t, "Apply", func(m *inmemory.Mastio) {
		if err := m.Store.Seen(t.Context(), registry.SightingOf("orga::moving", 1, m.Now())); err != nil {
			t.Error(err)
		}
	})
	a := admitted(t, m, "moving")
	*times = 1
	before := m.Store.Calls()["Apply"]
	rotated, err := m.Rotate(t.Context(), a.Agent.ID)
	if err != nil || *times != 0 {
		t.Fatalf("rotation with a note in between: %v", err)
	}
	if got := m.Store.Calls()["Apply"] - before; got != 1 {
		t.Errorf("the rotation took %d commits, want 1", got)
	}
	getsToken(t, m, rotated.Certificate.CertPEM)

	m, times = meddled(t, "Seen", func(m *inmemory.Mastio) {
		if _, err := m.Rotate(t.Context(), "orga::moving"); err != nil {
			t.Error(err)
		}
	})
	a = admitted(t, m, "moving")
	*times = 1
	getsToken(t, m, a.Certificate.CertPEM)
	if got := sighting(t, m, a.Agent.ID); got.Hour.IsZero() || *times != 0 {
		t.Errorf("a note with a rotation in between: %+v", got)
	}
}
