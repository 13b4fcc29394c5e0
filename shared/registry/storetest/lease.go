package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

func oneHolder(t *testing.T, f fixture) {
	held := f.acquire("a", noon)
	f.same("lease", held, orgca.Lease{
		Holder:    "a",
		Operation: "rotate-ca",
		Phase:     "swap",
		Expires:   noon.Add(orgca.LeaseTTL),
		Fence:     1,
	})

	later := noon.Add(10 * time.Second)
	got, err := f.Acquire(t.Context(), want("b", later), later)
	f.fails("acquisition by another", err, orgca.ErrLeaseHeld)
	f.same("lease of another", got, orgca.Lease{})
	if told := orgca.LeaseHeld(held, later).Error(); !strings.HasSuffix(err.Error(), told) {
		t.Errorf("acquisition by another: got %q, want %q at its end", err, told)
	}
	f.same("when to come again", problem.Of(err).RetryIn, 20*time.Second)
	f.same("stored lease", f.org().Lease, held)
}

func takeover(t *testing.T, f fixture) {
	first := f.acquire("a", noon)
	_, err := f.Acquire(t.Context(), want("b", noon), first.Expires.Add(-time.Millisecond))
	f.fails("acquisition in the last millisecond", err, orgca.ErrLeaseHeld)
	if second := f.acquire("b", first.Expires); second.Fence != first.Fence+1 {
		t.Errorf("fence after the takeover: got %d, want %d", second.Fence, first.Fence+1)
	}
}

// A lease from a fast clock locks no other holder out, whatever that clock said; the old holder commits nothing more.
func futureLease(t *testing.T, f fixture) {
	for _, c := range []struct {
		ahead    time.Duration
		believed bool
	}{{orgca.ClockSkew, true}, {orgca.ClockSkew + time.Millisecond, false}, {48 * time.Hour, false},
		{14 * 365 * 24 * time.Hour, false}} {
		old := f.acquire("ahead", noon.Add(c.ahead))
		change := wholeChange(f.view(agentID(1)), f.org(), fmt.Sprint("key ", c.ahead))
		got, err := f.Acquire(t.Context(), want("b", noon), noon)
		if c.believed {
			f.fails(fmt.Sprintf("acquisition while the lease of a clock %s ahead lasts", c.ahead), err, orgca.ErrLeaseHeld)
			f.fails("release", f.Release(t.Context(), old), nil)
			continue
		}
		f.fails(fmt.Sprintf("acquisition after a clock was %s ahead", c.ahead), err, nil)
		f.same("lease", got, orgca.Lease{
			Holder:    "b",
			Operation: "rotate-ca",
			Phase:     "swap",
			Expires:   noon.Add(orgca.LeaseTTL),
			Fence:     old.Fence + 1,
		})
		f.fails("extension by the process whose clock was ahead", f.Extend(t.Context(), old), orgca.ErrLeaseLost)
		f.fails("commit by it", f.Apply(t.Context(), change), registry.ErrConflict)
		f.fails("release", f.Release(t.Context(), got), nil)
	}
}

func acquisitions(t *testing.T, f fixture) {
	winners := 0
	for n, err := range atOnce(func(n int) error {
		_, err := f.Acquire(t.Context(), want(fmt.Sprint("holder ", n), noon), noon)
		return err
	}) {
		if err == nil {
			winners++
		} else {
			f.fails(fmt.Sprintf("acquisition %d", n), err, orgca.ErrLeaseHeld)
		}
	}
	if winners != 1 || f.org().Lease.Fence != 1 {
		t.Errorf("got %d winners and the fence %d, want 1 and 1", winners, f.org().Lease.Fence)
	}
}

func sameHolder(t *testing.T, f fixture) {
	first := f.acquire("a", noon)
	f.same("lease acquired again", f.acquire("a", noon), first)

	first.Phase, first.Expires = "truststore", noon.Add(time.Minute)
	f.fails("extend", f.Extend(t.Context(), first), nil)
	f.same("lease acquired after it was extended", f.acquire("a", noon.Add(40*time.Second)), first)
	if again := f.acquire("a", first.Expires); again.Fence != 2 {
		t.Errorf("fence of a lease acquired again when it was over: got %d, want 2", again.Fence)
	}
}

func fences(t *testing.T, f fixture) {
	for fence := int64(1); fence <= 3; fence++ {
		held := f.acquire(fmt.Sprint("holder ", fence), noon)
		if held.Fence != fence {
			t.Errorf("fence: got %d, want %d", held.Fence, fence)
		}
		f.fails("release", f.Release(t.Context(), held), nil)
		f.same("released lease", f.org().Lease, orgca.Lease{Fence: fence})
		f.fails("second release", f.Release(t.Context(), held), registry.ErrConflict)
		f.fails("extension of a released lease", f.Extend(t.Context(), held), orgca.ErrLeaseLost)
	}
}

func extend(t *testing.T, f fixture) {
	f.fails("extension of a lease that never was", f.Extend(t.Context(), want("a", noon)), orgca.ErrLeaseLost)
	f.fails("release of a lease that never was", f.Release(t.Context(), want("a", noon)), registry.ErrConflict)
	f.fails("extension of no lease", f.Extend(t.Context(), orgca.Lease{}), orgca.ErrLeaseLost)
	f.fails("release of no lease", f.Release(t.Context(), orgca.Lease{}), registry.ErrConflict)

	held := f.acquire("a", noon)
	held.Phase, held.Expires = "prepare", noon.Add(time.Hour)
	for range 2 {
		f.fails("extension", f.Extend(t.Context(), held), nil)
		f.same("extended lease", f.org().Lease, held)
	}
	other := held
	other.Holder = "b"
	f.fails("extension by another", f.Extend(t.Context(), other), orgca.ErrLeaseLost)
	f.fails("release by another", f.Release(t.Context(), other), registry.ErrConflict)
	f.same("lease after that", f.org().Lease, held)
}

func lateCommit(t *testing.T, f fixture) {
	old := f.acquire("a", noon)
	change := wholeChange(f.view(agentID(1)), f.org(), "key")
	current := f.acquire("b", old.Expires)
	before := f.everything("key")

	f.fails("commit under the old fence", f.Apply(t.Context(), change), registry.ErrConflict)
	f.fails("extension under the old fence", f.Extend(t.Context(), old), orgca.ErrLeaseLost)
	f.fails("release under the old fence", f.Release(t.Context(), old), registry.ErrConflict)
	old.Holder = "b"
	f.fails("extension by the holder under the old fence", f.Extend(t.Context(), old), orgca.ErrLeaseLost)
	f.same("state", f.everything("key"), before)

	f.fails("release by the holder", f.Release(t.Context(), current), nil)
	f.fails("commit under the old fence, the lease being free", f.Apply(t.Context(), change), registry.ErrConflict)
	f.same("pointer", f.org().Pointer, before.Org.Pointer)
}
