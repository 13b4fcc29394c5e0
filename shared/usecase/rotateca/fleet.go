package rotateca

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

const (
	// lookedUp bounds the agents that a count of progress looks up: so many of those that have moved, and so many of those
	// that remain. That is at most 2,000 records and 2,000 notes, in pages of at most 1,000.
	lookedUp = 1000
	// lookedBehind bounds the earlier generations whose agents it looks up, from the newest on.
	lookedBehind = 4
)

// each calls do with the active agents of a query and when they were seen, until the query ends or left agents were
// read. It reports whether the query ended. left is what remains of the bound. Agents that wanted refuses cost no look
// at their notes; nil refuses none.
func (o *Observer) each(
	ctx context.Context, q registry.Query, left *int, wanted func(agent.Agent) bool,
	do func(agent.Agent, registry.Sighting),
) (all bool, err error) {
	for *left > 0 {
		q.Limit = min(*left, lookedUp)
		page, err := o.Store.Agents(ctx, q)
		if err != nil {
			return false, err
		}
		*left -= q.Limit
		found := slices.DeleteFunc(page.Agents, func(a agent.Agent) bool {
			return a.Status != agent.Active || wanted != nil && !wanted(a)
		})
		ids := make([]agent.ID, len(found))
		for n, a := range found {
			ids[n] = a.ID
		}
		seen, err := o.Store.SeenAt(ctx, ids)
		if err != nil {
			return false, err
		}
		for _, a := range found {
			do(a, seen[a.ID])
		}
		if page.Next == "" {
			*left += q.Limit - len(page.Agents)
			return true, nil
		}
		q.Cursor = page.Next
	}
	return false, nil
}

// lookUp completes a count by what only agents' records and the notes of their tokens say.
func (o *Observer) lookUp(ctx context.Context, org registry.Org, p *Progress) error {
	current, now := org.Pointer.Current, o.Now()
	per := maps.Clone(p.PerMethod)
	add := func(m agent.Method, used, silent int64) {
		of := per[m]
		of.Used, of.Silent = of.Used+used, of.Silent+silent
		per[m] = of
		p.Used, p.Silent = p.Used+used, p.Silent+silent
	}
	defer func() { p.PerMethod = per }()
	var moved, remaining int64
	for _, generation := range append([]int64{current}, behind(org)...) {
		if generation != current && remaining == p.Remaining {
			break
		}
		left := lookedUp
		if generation != current {
			left -= int(remaining)
		}
		if _, err := o.each(ctx, registry.Query{Generation: generation}, &left, nil,
			func(a agent.Agent, seen registry.Sighting) {
				p.LastTokens.add(seen, current, now)
				switch generation {
				case current:
					moved++
					add(a.Method, one(uses(a, seen, current)), 0)
				default:
					remaining++
					add(a.Method, 0, one(seen.Silent(now)))
					p.Laggards = append(p.Laggards,
						Laggard{a.ID, a.Method, a.Owner, generation, seen.Believed(now), seen.Silent(now)})
				}
			}); err != nil {
			return err
		}
	}
	slices.SortFunc(p.Laggards, func(a, b Laggard) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.Agent, b.Agent))
	})
	p.Laggards = p.Laggards[:min(len(p.Laggards), mostLaggards)]
	p.AtLeast = moved < p.ReEnrolled-p.PerMethod[agent.SPIFFE].ReEnrolled || remaining < p.Remaining
	return nil
}

// Silent looks up agents under earlier generations that are accepted, most of them at the most, and counts those that
// got no token for long (registry.Sighting.Silent).
func (o *Observer) Silent(ctx context.Context, org registry.Org, most int) (silent, looked int64, err error) {
	now, left := o.Now(), most
	for _, generation := range behind(org) {
		if !org.Pointer.Accepts(generation, now) {
			continue
		}
		_, err := o.each(ctx, registry.Query{Generation: generation}, &left, nil,
			func(_ agent.Agent, seen registry.Sighting) {
				looked++
				silent += one(seen.Silent(now))
			})
		if err != nil {
			return 0, 0, err
		}
	}
	return silent, looked, nil
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// behind are the generations that agents may remain under, newest first.
func behind(org registry.Org) []int64 {
	var all []int64
	for _, g := range slices.Backward(org.Generations) {
		if g.Number != org.Pointer.Current && (g.State == orgca.Superseded || g.State == orgca.Retired) {
			all = append(all, g.Number)
		}
	}
	return all[:min(len(all), lookedBehind)]
}

// uses reports whether the first use of a certificate of the current generation is on record: a successor's in the
// agent's own record, any other's in the note of its tokens, up to an hour later.
func uses(a agent.Agent, seen registry.Sighting, current int64) bool {
	return seen.Generation == current || slices.ContainsFunc(a.Pins, func(p agent.Pin) bool {
		return p.Generation == current && !p.Renewed.IsZero() && !p.Unused
	})
}
