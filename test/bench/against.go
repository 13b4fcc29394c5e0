package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// How a comparison runs. Both stacks are up all the time; the loads take turns in slices, so that what else the machine
// does meets both alike, and the first of a round is each of them in turn.
const (
	shortWarmUp = 300 * time.Millisecond
	leastShown  = 5 * time.Microsecond // of one request: a function that a schedule started costs less
)

// slice is what one stack did in one slice of time.
type slice struct {
	rate      float64                  // requests a second
	cpu       map[string]time.Duration // of one request, by kind of process
	clientCPU time.Duration            // of one request, not in cpu
}

func (s slice) total() time.Duration {
	var sum time.Duration
	for _, d := range s.cpu {
		sum += d
	}
	return sum
}

// workload is one kind of request, for each stack.
type workload struct {
	name    string
	callers [2][]caller
	slices  [2][]slice
}

// compare measures the local stack of a revision and of this tree, and prints one over the other.
func (b *bench) compare(ctx context.Context, stdout io.Writer) error {
	root, err := b.root(ctx)
	if err != nil {
		return err
	}
	b.say("unpacking %s", b.against)
	other, err := checkout(ctx, root, b.against)
	if err != nil {
		return err
	}
	var both [2]*contender
	for n, c := range []struct{ name, source string }{{b.against, other}, {"this tree", root}} {
		b.say("building and starting %s", c.name)
		if both[n], err = contend(ctx, c.name, c.source); err != nil {
			return err
		}
		b.closers = append(b.closers, both[n].stop)
	}
	loads, err := workloads(ctx, both)
	if err != nil {
		return err
	}
	for _, w := range loads {
		if err := b.takeTurns(ctx, w, both); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	b.report.Machine.LoadAfter = loadAverage()
	fmt.Fprintf(stdout, "%s\n%d clients, %d slices of %v of each in turn, medians\n", b.report.Machine, clients, b.rounds,
		b.length())
	for _, w := range loads {
		w.print(stdout, both)
	}
	return nil
}

func workloads(ctx context.Context, both [2]*contender) ([]*workload, error) {
	token, rotation := &workload{name: "token with DPoP proof"}, &workload{name: "rotate-cert"}
	for n, c := range both {
		fleet, err := enrolFleet(ctx, c.target, fleetOfClients)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		_, token.callers[n], rotation.callers[n] = callers(fleet, c.Secret)
	}
	return []*workload{token, rotation}, nil
}

func (b *bench) takeTurns(ctx context.Context, w *workload, both [2]*contender) error {
	for n, c := range both {
		b.say("%s: warming up %s", w.name, c.name)
		if _, err := w.slice(ctx, c, n, 0, time.Duration(b.warmUp)*time.Second); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		for turn := range both {
			n := (turn + round) % len(both)
			s, err := w.slice(ctx, both[n], n, shortWarmUp, b.length())
			if err != nil {
				return err
			}
			w.slices[n] = append(w.slices[n], s)
			b.say("%s: %s %.0f/s, %.2f ms CPU", w.name, both[n].name, s.rate, ms(s.total()))
		}
	}
	return nil
}

// slice makes a load on one stack and measures it.
func (w *workload) slice(ctx context.Context, c *contender, n int, warmUp, length time.Duration) (slice, error) {
	var before, after map[string]time.Duration
	l := load{URL: c.URL, CAPEM: c.CAPEM, Warmup: warmUp, Length: length, Callers: w.callers[n]}
	s, clientCPU, err := l.run(ctx, func() (_ func() error, err error) {
		before, err = cpuTree(c.cmd.Process.Pid)
		return func() (err error) { after, err = cpuTree(c.cmd.Process.Pid); return err }, err
	})
	if err != nil {
		return slice{}, err
	}
	each := func(d time.Duration) time.Duration { return d / time.Duration(max(1, len(s.each))) }
	used := map[string]time.Duration{}
	for kind, d := range since(before, after) {
		if each(d) >= leastShown {
			used[kind] = each(d)
		}
	}
	return slice{rate: s.rate(), cpu: used, clientCPU: each(clientCPU)}, nil
}

// print writes a workload's table. A ratio is the median of the rounds' ratios: of what was measured side by side.
func (w *workload) print(out io.Writer, both [2]*contender) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s\t%s\t%s\tratio\tlowest to highest\n", w.name, both[0].name, both[1].name)
	w.row(t, "requests a second", "%.0f/s", func(s slice) float64 { return s.rate })
	w.row(t, "CPU of all processes", "%.2f ms", func(s slice) float64 { return ms(s.total()) })
	kinds := map[string]bool{}
	for _, list := range w.slices {
		for _, s := range list {
			for kind := range s.cpu {
				kinds[kind] = true
			}
		}
	}
	shown := func(list []slice, kind string) bool {
		var used []float64
		for _, s := range list {
			used = append(used, float64(s.cpu[kind]))
		}
		return median(used) >= float64(leastShown)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if !shown(w.slices[0], kind) && !shown(w.slices[1], kind) {
			continue
		}
		w.row(t, "  "+kind, "%.2f ms", func(s slice) float64 { return ms(s.cpu[kind]) })
	}
	w.row(t, "the clients, not included", "%.2f ms", func(s slice) float64 { return ms(s.clientCPU) })
	t.Flush() //nolint:errcheck // a reader who went away reads no error either
}

func (w *workload) row(t io.Writer, name, form string, value func(slice) float64) {
	var columns [2][]float64
	for n := range columns {
		for _, s := range w.slices[n] {
			columns[n] = append(columns[n], value(s))
		}
	}
	ratio, spread := "", ""
	if ratios := quotients(columns[1], columns[0]); len(ratios) > 0 {
		ratio, spread = fmt.Sprintf("%.2f", median(ratios)),
			fmt.Sprintf("%.2f to %.2f", slices.Min(ratios), slices.Max(ratios))
	}
	fmt.Fprintf(t, "%s\t"+form+"\t"+form+"\t%s\t%s\n", name, median(columns[0]), median(columns[1]), ratio, spread)
}

// quotients divides pair by pair; pairs with nothing below the line are left out.
func quotients(above, below []float64) []float64 {
	var list []float64
	for n := range min(len(above), len(below)) {
		if below[n] > 0 {
			list = append(list, above[n]/below[n])
		}
	}
	return list
}

// median returns the middle of the values, zero of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	switch n := len(sorted); {
	case n == 0:
		return 0
	case n%2 == 0:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	default:
		return sorted[n/2]
	}
}
