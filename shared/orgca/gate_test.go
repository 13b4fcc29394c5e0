package orgca

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ids(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("acme::a%03d", i))
	}
	return all
}

// wave is one that has gone well: 1,000 agents, all of them in use and moved.
func wave(edits ...func(*Wave)) Wave {
	w := Wave{Moved: 1000, Recent: 1000, Used: 1000}
	for _, edit := range edits {
		edit(&w)
	}
	return w
}

func TestGate(t *testing.T) {
	began := now
	over := began.Add(DefaultHold)
	inWaves := Reissue{Waves: DefaultWaves(), Wave: 1, Hold: DefaultHold, WaveBegan: began, State: Running}
	last := inWaves
	last.Wave = 2
	excused := inWaves
	excused.Excused = 20
	for name, c := range map[string]struct {
		r    Reissue
		w    Wave
		at   time.Time
		want Verdict
		why  string // a part of it
	}{
		"all used, hold over":       {inWaves, wave(), over, Advance, ""},
		"hold not over":             {inWaves, wave(), over.Add(-time.Nanosecond), Wait, ""},
		"begun by a fast clock":     {inWaves, wave(), began.Add(-time.Hour), Advance, ""},
		"begun a moment ahead":      {inWaves, wave(), began.Add(-ClockSkew), Wait, ""},
		"the last wave has no next": {last, wave(), over, Wait, ""},
		"90 % used":                 {inWaves, wave(func(w *Wave) { w.Used = 900 }), over, Advance, ""},
		"below 90 % used":           {inWaves, wave(func(w *Wave) { w.Used = 899 }), over, Wait, ""},
		"most are not in use":       {inWaves, wave(func(w *Wave) { w.Recent, w.Used = 10, 9 }), over, Advance, ""},
		"none is in use":            {inWaves, wave(func(w *Wave) { w.Recent, w.Used = 0, 0 }), over, Advance, ""},
		"awaited agents count":      {inWaves, wave(func(w *Wave) { w.Awaited = 112 }), over, Wait, ""},
		"few are awaited":           {inWaves, wave(func(w *Wave) { w.Awaited = 111 }), over, Advance, ""},
		"below 2 %":                 {inWaves, wave(func(w *Wave) { w.Refused = ids(19) }), over, Advance, ""},
		"2 % refused": {inWaves, wave(func(w *Wave) { w.Refused = ids(20) }), began, Halt,
			"20 new certificates were"},
		"2 % failed": {inWaves, wave(func(w *Wave) { w.Failed = 21 }), began, Halt, "21 deliveries failed"},
		"2 % silent": {inWaves, wave(func(w *Wave) { w.Silent = ids(20) }), began, Halt, "20 agents that had"},
		"2 % together": {inWaves, wave(func(w *Wave) { w.Failed, w.Refused, w.Silent = 7, ids(7), ids(7) }), began, Halt,
			"21 of 1007 agents failed, the limit is 21"},
		"one of a small wave": {inWaves, Wave{Moved: 3, Recent: 3, Used: 3, Refused: ids(1)}, over, Advance, ""},
		"two of a small wave": {inWaves, Wave{Moved: 3, Recent: 3, Used: 3, Refused: ids(2)}, over, Halt,
			"wave 2 of 3: 2 of 3 agents failed, the limit is 2"},
		"an empty wave":              {inWaves, Wave{}, over, Advance, ""},
		"the last wave halts too":    {last, wave(func(w *Wave) { w.Refused = ids(20) }), began, Halt, "wave 3 of 3"},
		"what an operator excused":   {excused, wave(func(w *Wave) { w.Refused = ids(39) }), over, Advance, ""},
		"more than was excused":      {excused, wave(func(w *Wave) { w.Refused = ids(40) }), over, Halt, "20 of 1000"},
		"failures outrank the hold":  {inWaves, wave(func(w *Wave) { w.Refused, w.Used = ids(20), 0 }), began, Halt, ""},
		"fewer than excused is fine": {excused, wave(func(w *Wave) { w.Refused = ids(3) }), over, Advance, ""},
	} {
		got, why := c.r.Gate(c.w, c.at)
		if got != c.want || !strings.Contains(why, c.why) || (why != "") != (c.want == Halt) {
			t.Errorf("%s: verdict %d, %q; want %d and %q", name, got, why, c.want, c.why)
		}
	}
}

func TestHaltNamesTheFirstTen(t *testing.T) {
	w := Wave{Refused: ids(8), FailedAgents: []string{"f"}, Silent: []string{"s1", "s2", "s3"}}
	want := append(ids(8), "f", "s1")
	if diff := cmp.Diff(want, w.Named()); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
}

func TestMovesCheck(t *testing.T) {
	good := Moves{Waves: DefaultWaves(), Hold: DefaultHold, OnHalt: HoldOnHalt}
	with := func(edit func(*Moves)) Moves { m := good; edit(&m); return m }
	for name, c := range map[string]struct {
		m       Moves
		overlap time.Duration
		want    error
	}{
		"none":               {Moves{}, 0, nil},
		"the default":        {good, time.Hour, nil},
		"roll back":          {with(func(m *Moves) { m.OnHalt = RollBackOnHalt }), time.Hour, nil},
		"one wave":           {with(func(m *Moves) { m.Waves = []int{100} }), time.Hour, nil},
		"no hold":            {with(func(m *Moves) { m.Hold = 0 }), time.Hour, nil},
		"without an overlap": {good, 0, ErrWaves},
		"too long for it":    {good, 20 * time.Minute, ErrWaves},
		"just fits":          {good, 20*time.Minute + 1, nil},
		"not to 100":         {with(func(m *Moves) { m.Waves = []int{1, 10} }), time.Hour, ErrWaves},
		"beyond 100":         {with(func(m *Moves) { m.Waves = []int{1, 101} }), time.Hour, ErrWaves},
		"zero":               {with(func(m *Moves) { m.Waves = []int{0, 100} }), time.Hour, ErrWaves},
		"falling":            {with(func(m *Moves) { m.Waves = []int{10, 1, 100} }), time.Hour, ErrWaves},
		"twice":              {with(func(m *Moves) { m.Waves = []int{10, 10, 100} }), time.Hour, ErrWaves},
		"eleven": {with(func(m *Moves) { m.Waves = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100} }), MaxOverlap,
			ErrWaves},
		"hold, no waves":       {Moves{Hold: 1, OnHalt: HoldOnHalt}, time.Hour, ErrWaves},
		"negative hold":        {with(func(m *Moves) { m.Hold = -1 }), time.Hour, ErrHold},
		"hold beyond a day":    {with(func(m *Moves) { m.Hold = MaxHold + 1 }), MaxOverlap, ErrHold},
		"unknown on_halt":      {with(func(m *Moves) { m.OnHalt = "ROLLBACK" }), time.Hour, ErrOnHalt},
		"waves but no on_halt": {with(func(m *Moves) { m.OnHalt = "" }), time.Hour, ErrOnHalt},
	} {
		if err := c.m.Check(c.overlap); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestLate(t *testing.T) {
	r := Reissue{Generation: 2, State: Running, Waves: DefaultWaves(), Hold: DefaultHold}
	p := &Pointer{Current: 2, Accepted: []Overlap{{Generation: 1, Until: now.Add(4 * time.Hour)}}}
	latest := now.Add(4*time.Hour - 20*time.Minute) // two waves remain
	for name, c := range map[string]struct {
		at   time.Time
		edit func(*Reissue)
		want bool
	}{
		"in time":                {latest.Add(-LateNotice - 1), nil, false},
		"an hour ahead":          {latest.Add(-LateNotice), nil, true},
		"halted is late too":     {latest, func(r *Reissue) { r.State = Halted }, true},
		"the overlap is over":    {now.Add(5 * time.Hour), nil, true},
		"the last wave":          {latest, func(r *Reissue) { r.Wave = 2 }, false},
		"one wave remains":       {latest.Add(-LateNotice), func(r *Reissue) { r.Wave = 1 }, false},
		"finished":               {latest, func(r *Reissue) { r.State = Finished }, false},
		"of an earlier rotation": {latest, func(r *Reissue) { r.Generation = 1 }, false},
		"in an unknown state":    {latest, func(r *Reissue) { r.State = "RUNNING" }, false},
	} {
		given := r
		if c.edit != nil {
			c.edit(&given)
		}
		if got := given.Late(p, c.at); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The slots of agents that renew themselves follow the waves; a re-issue that stands still calls none of them.
func TestSteer(t *testing.T) {
	until, returning := now.Add(9*time.Hour), now.Add(MaxOverlap)
	p := Pointer{
		Current:   2,
		RotatedAt: now,
		Accepted: []Overlap{
			{Generation: 1, Until: until},
			{Generation: 3, Until: returning, Undone: true, Opens: now, Closes: now.Add(time.Hour)},
		},
	}
	r := Reissue{
		Generation: 2,
		State:      Running,
		Waves:      DefaultWaves(),
		Hold:       DefaultHold,
		WaveBegan:  now,
		Bound:      BoundOf(1),
	}
	later := r.NextWave(now.Add(time.Hour))
	last := later.NextWave(now.Add(2 * time.Hour))
	for name, c := range map[string]struct {
		r    Reissue
		want Overlap
	}{
		"first wave": {r, Overlap{Bound: BoundOf(1), Opens: now, Closes: now.Add(DefaultHold)}},
		"second": {later, Overlap{
			Bound:  BoundOf(10),
			Opens:  now.Add(time.Hour),
			Closes: now.Add(time.Hour + DefaultHold),
		}},
		"last":          {last, Overlap{Opens: now.Add(2 * time.Hour), Closes: now.Add(6 * time.Hour)}},
		"paused":        {Reissue{State: Paused, Waves: DefaultWaves()}, Overlap{Bound: noAgent}},
		"halted":        {Reissue{State: Halted, Waves: []int{100}}, Overlap{Bound: noAgent}},
		"without waves": {Reissue{State: Running, Waves: []int{100}, WaveBegan: now, Bound: Everyone}, Overlap{}},
	} {
		c.want.Generation, c.want.Until = 1, until
		got := c.r.Steer(p)
		if diff := cmp.Diff([]Overlap{c.want, p.Accepted[1]}, got.Accepted); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if p.Accepted[0].Bound != 0 {
		t.Error("the pointer that was given has changed")
	}
}

func TestReturn(t *testing.T) {
	p, previous, current := swapped(t, "superseded")
	older := Overlap{Generation: 9, Until: now.Add(time.Minute)}
	p.Accepted = append(p.Accepted, older)
	s, err := p.Return(previous, current, 3, now)
	if err != nil || s.Pointer.Current != 1 || s.Next.State != Current || s.Previous.State != Superseded {
		t.Fatalf("%+v, %v", s, err)
	}
	left := Overlap{Generation: 2, Until: now.Add(MaxOverlap), Undone: true, Opens: now, Closes: now.Add(ReturnWithin)}
	if diff := cmp.Diff([]Overlap{older, left}, s.Pointer.Accepted); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	if !s.Pointer.Accepts(2, now) || s.Pointer.Previous != 0 || s.Pointer.Spent(*s.Previous, now) {
		t.Errorf("what was left does not count, or the way leads forth again: %+v", s.Pointer)
	}
	back, changed := s.Pointer.Returned(now.Add(time.Hour))
	if !changed || !back.Accepts(2, now) || back.Accepts(2, now.Add(time.Hour)) || !back.Accepts(9, now) {
		t.Errorf("returned: %+v, %v", back, changed)
	}
	if _, changed := back.Returned(now.Add(2 * time.Hour)); changed || len(back.Undoing(now)) != 1 {
		t.Errorf("an end was put off, or is forgotten: %v", back.Undoing(now))
	}
	for _, reason := range []string{"keyCompromise", "cACompromise", "privilegeWithdrawn"} {
		p, previous, current := swapped(t, "keyCompromise")
		if _, err := p.Return(previous, current, 3, now); !errors.Is(err, ErrNoRollback) {
			t.Errorf("after a rotation for %s: %v", reason, err)
		}
	}
	for n := range MaxAccepted {
		p.Accepted = append(p.Accepted, Overlap{Generation: int64(20 + n), Until: now.Add(time.Hour)})
	}
	if _, err := p.Return(previous, current, 3, now); !errors.Is(err, ErrOverlaps) {
		t.Errorf("with eight other overlaps: %v", err)
	}
}
