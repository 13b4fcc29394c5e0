package soak

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The specification is tried on histories that are written by hand: it has to refuse what must not be, and to allow
// what may.
func TestSpecification(t *testing.T) {
	const agent = "orga::a"
	first := map[string]state{agent: {current: 2, previous: 1, accepted: ",1,", newest: pin{"old", 1}}}
	yes, no := reply{ok: true}, reply{code: "invalid_client"}
	tok := func(thumb string, from, to int64, r reply) porcupine.Operation {
		return operation(request{action: token, agent: agent, thumb: thumb}, r, from, to)
	}
	rot := func(thumb string, generation, from, to int64) porcupine.Operation {
		return operation(request{
			action: rotate,
			agent:  agent,
		}, reply{ok: true, thumb: thumb, generation: generation}, from, to)
	}
	see := func(thumb string, from, to int64, active bool) porcupine.Operation {
		return operation(request{action: introspect, agent: agent, thumb: thumb}, reply{ok: active}, from, to)
	}
	move := func(a action, overlap bool, generation, previous, from, to int64) porcupine.Operation {
		return operation(request{
			action:  a,
			overlap: overlap,
		}, reply{ok: true, generation: generation, previous: previous}, from, to)
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    porcupine.CheckResult
	}{
		"old before a rotation, new behind it": {[]porcupine.Operation{
			tok("old", 0, 10, yes), rot("new", 2, 20, 30), tok("old", 40, 50, no), tok("new", 40, 50, yes)}, porcupine.Ok},
		"old counts behind a rotation": {[]porcupine.Operation{rot("new", 2, 20, 30), tok("old", 40, 50, yes)},
			porcupine.Illegal},
		"a token is active until a rotation": {[]porcupine.Operation{
			see("old", 0, 10, true), rot("new", 2, 20, 30), see("old", 25, 40, true), see("old", 45, 50, false),
			see("new", 45, 50, true)}, porcupine.Ok},
		"a token is active behind a rotation": {[]porcupine.Operation{rot("new", 2, 20, 30), see("old", 40, 50, true)},
			porcupine.Illegal},
		"new does not count": {[]porcupine.Operation{rot("new", 2, 20, 30), tok("new", 40, 50, no)},
			porcupine.Illegal},
		"old dies and comes back": {[]porcupine.Operation{
			rot("new", 2, 0, 100), tok("old", 10, 20, no), tok("old", 30, 40, yes)}, porcupine.Illegal},
		"a rollback brings old back before a rotation has answered": {[]porcupine.Operation{
			rot("new", 1, 0, 100), tok("old", 10, 20, no), move(rollback, false, 1, 2, 25, 30), tok("old", 40, 50, yes),
			tok("old", 60, 70, no), tok("new", 110, 120, yes), tok("old", 110, 120, no)}, porcupine.Ok},
		"a rollback brings old back behind a rotation's answer": {[]porcupine.Operation{
			rot("new", 1, 0, 35), tok("old", 10, 20, no), move(rollback, false, 1, 2, 25, 30), tok("old", 40, 50, yes)},
			porcupine.Illegal},
		"a restored certificate counts at once": {[]porcupine.Operation{
			rot("new", 2, 0, 10), move(rollback, false, 1, 2, 20, 30), tok("old", 40, 50, yes), tok("new", 40, 50, no)},
			porcupine.Ok},
		"its use is on record late": {[]porcupine.Operation{
			rot("new", 2, 0, 10), move(rollback, false, 1, 2, 20, 30), tok("old", 40, 100, yes),
			move(rotateCA, true, 3, 1, 50, 60),
			tok("old", 70, 80, no), tok("old", 90, 110, yes), tok("old", 120, 130, yes)}, porcupine.Ok},
		"its use is on record behind the answer": {[]porcupine.Operation{
			rot("new", 2, 0, 10), move(rollback, false, 1, 2, 20, 30), tok("old", 40, 65, yes),
			move(rotateCA, true, 3, 1, 50, 60),
			tok("old", 70, 80, no), tok("old", 90, 110, yes)}, porcupine.Illegal},
		"dormant in an overlap": {[]porcupine.Operation{
			rot("new", 2, 0, 10), move(rotateCA, true, 3, 2, 20, 100), tok("old", 30, 40, yes)}, porcupine.Illegal},
	} {
		for i := range c.history {
			q := c.history[i].Input.(request)
			q.call = int64(i + 1)
			c.history[i].Input = q
		}
		if got := porcupine.CheckOperationsTimeout(specification(first), parted(c.history), time.Minute); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func operation(q request, r reply, from, to int64) porcupine.Operation {
	return porcupine.Operation{Input: q, Output: r, Call: from, Return: to}
}
