package orgca

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLeft(t *testing.T) {
	p := Pointer{Current: 5, Previous: 4, Accepted: []Overlap{{Generation: 3, Until: now.Add(-time.Hour)}}}
	for generation, want := range map[int64]bool{-1: false, 0: false, 1: true, 2: true, 3: false, 4: false, 5: false,
		6: false} {
		if got := p.Left(generation); got != want {
			t.Errorf("generation %d: %v, want %v", generation, got, want)
		}
	}
	if (Pointer{}).Left(1) {
		t.Error("without a pointer a generation was left")
	}
}

// Whatever happens to the Org CA, a generation that was current and was left does not count again, for no clock, and no
// pointer before says that it was left while it counts. So a death that is not written, because a pointer said so that
// was read a while ago, is never missed.
func TestWhatWasLeftNeverCountsAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := now
		numbers := rapid.Permutation([]int64{2, 3, 4, 5, 6, 7, 8, 9}).Draw(t, "numbers in the order in which they come")
		generations := map[int64]Generation{1: staged(1)}
		left := map[int64]bool{}
		p := Pointer{}
		move := func(s Swap, err error) {
			if err != nil {
				t.Skip(err)
			}
			p = s.Pointer
			p.Version++
			generations[s.Next.Number] = s.Next
			if s.Previous != nil {
				generations[s.Previous.Number] = *s.Previous
			}
		}
		move(p.Plan(generations[1], nil, 1, 0, clock))
		wasCurrent := map[int64]bool{1: true}
		t.Repeat(map[string]func(*rapid.T){
			"rotate": func(t *rapid.T) {
				if len(numbers) == 0 {
					t.Skip("no generation more")
				}
				next, current := staged(numbers[0]), generations[p.Current]
				numbers = numbers[1:]
				overlap := rapid.SampledFrom([]time.Duration{0, time.Minute, MaxOverlap}).Draw(t, "overlap")
				move(p.Plan(next, &current, p.Fence+1, overlap, clock))
				wasCurrent[p.Current] = true
			},
			"roll back": func(t *rapid.T) {
				if p.Previous == 0 {
					t.Skip("no way back")
				}
				undone := p.Current
				move(p.Rollback(generations[p.Previous], generations[p.Current], p.Fence+1, clock))
				if rapid.Bool().Draw(t, "kept for those that had moved") {
					p.Accepted = append(p.Accepted, Overlap{Generation: undone, Until: clock.Add(MaxOverlap), Undone: true})
				}
			},
			"finalise": func(t *rapid.T) {
				next, err := p.Finalise(p.Fence + 1)
				if err != nil {
					t.Fatal(err)
				}
				p = next
			},
			"remove what is over": func(*rapid.T) { p, _ = p.Lapse(clock) },
			"wait": func(t *rapid.T) {
				clock = clock.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 91 * 24 * time.Hour}).Draw(t, "for"))
			},
			"": func(t *rapid.T) {
				for generation := range wasCurrent {
					counts := p.Previous == generation
					for _, off := range []time.Duration{-MaxOverlap, -time.Hour, 0, time.Hour} {
						counts = counts || p.Accepts(generation, clock.Add(off))
					}
					if left[generation] && counts {
						t.Fatalf("generation %d was left, and counts again: %+v", generation, p)
					}
					left[generation] = left[generation] || p.Left(generation)
					if left[generation] && counts {
						t.Fatalf("generation %d counts, and %+v says that it was left", generation, p)
					}
				}
			},
		})
	})
}
