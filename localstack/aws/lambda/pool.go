package lambda

import (
	"slices"
	"sync"
	"time"
)

// pool is a function's instances and the invocations that wait for one.
//
// An instance moves starting → idle ⇄ busy → settling → idle: settling is the moment between its
// answer and its next request for work. Whatever the state, it can become stopping and is then forgotten
// when its process has exited. A job is handed out under the lock, so none is ever lost in between.
type pool struct {
	Function
	cfg     Config
	arn     string
	service *Service
	out     *sink

	mu        sync.Mutex
	closed    bool
	queue     []*job
	instances []*instance
	idle      []*instance // the last one was used last, so that the first ones age and are reaped
}

type state int

const (
	starting state = iota
	idle
	busy
	settling
	stopping
)

func (p *pool) submit(j *job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if len(p.idle) == 0 && len(p.queue) >= p.cfg.Queue {
		return ErrThrottled
	}
	p.queue = append(p.queue, j)
	if n := len(p.idle); n > 0 {
		in := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.feed(in)
	}
	p.grow()
	return nil
}

// forget removes an abandoned job from the queue. A job that already runs goes on.
func (p *pool) forget(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.queue, j); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
}

// feed gives an instance the oldest waiting job, or makes it idle.
func (p *pool) feed(in *instance) {
	for j := p.pop(); j != nil; j = p.pop() {
		if j.probe == nil {
			p.assign(in, j)
			return
		}
		j.finish(outcome{})
	}
	in.state, in.idleSince = idle, time.Now()
	p.idle = append(p.idle, in)
}

func (p *pool) pop() *job {
	if len(p.queue) == 0 {
		return nil
	}
	j := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return j
}

func (p *pool) assign(in *instance, j *job) {
	in.state, in.job = busy, j
	j.deadline = time.Now().Add(p.Timeout)
	j.timer = time.AfterFunc(p.Timeout, func() { p.expire(in, j) })
	in.jobs <- j // has room: an instance gets no job before it fetched the last one and asked for more
}

// grow starts one instance for each job that no instance will soon be free for. A settling instance counts as free:
// it asks for more work within microseconds, and a new process takes far longer.
func (p *pool) grow() {
	missing := len(p.queue)
	for _, in := range p.instances {
		if in.state == starting || in.state == settling {
			missing--
		}
	}
	for ; missing > 0 && len(p.instances) < p.MaxInstances && !p.closed; missing-- {
		in := newInstance(p)
		p.instances = append(p.instances, in)
		p.service.wg.Go(in.run)
	}
}

// polled notes that an instance asks for work, and reports whether it may: asking for more without
// having answered is a mistake of its runtime.
func (p *pool) polled(in *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch in.state {
	case starting, settling:
		in.settle()
		p.feed(in)
		return true
	case idle:
		return true // it lost its connection and came back
	case busy:
		return !in.job.taken // likewise
	case stopping:
		return false
	}
	return false
}

// take notes that the instance has fetched the job.
func (p *pool) take(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j.taken = true
}

// answer delivers what an instance says about the job with this id, and reports whether it has such a job.
func (p *pool) answer(in *instance, id string, r Result) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in.state != busy || !in.job.taken || in.job.id != id {
		return false
	}
	in.state = settling
	in.job.finish(outcome{Result: r})
	return true
}

// expire ends an instance whose job took too long, be it before its answer or (the answer is
// delivered then) before it asked for more work.
func (p *pool) expire(in *instance, j *job) {
	p.mu.Lock()
	late := in.job == j && (in.state == busy || in.state == settling)
	if late {
		p.halt(in, timedOut(p.Timeout))
	}
	p.mu.Unlock()
	if late {
		in.kill()
	}
}

// initFailed ends an instance that never asked for work.
func (p *pool) initFailed(in *instance, f fault) {
	p.mu.Lock()
	early := in.state == starting
	if early {
		p.halt(in, f)
	}
	p.mu.Unlock()
	if early {
		in.kill()
	}
}

// halt gives an instance up: f is the answer to its job, or, if it was starting, to the job that waited longest.
func (p *pool) halt(in *instance, f fault) {
	switch in.state {
	case starting:
		if j := p.pop(); j != nil {
			j.fail(f)
		}
	case busy:
		in.job.fail(f)
	case idle:
		p.idle = slices.DeleteFunc(p.idle, func(x *instance) bool { return x == in })
	case settling, stopping:
	}
	in.settle()
	in.state = stopping
}

// exited forgets an instance whose process has ended, for the reason f.
func (p *pool) exited(in *instance, f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt(in, f)
	p.instances = slices.DeleteFunc(p.instances, func(x *instance) bool { return x == in })
	p.grow()
}

// reap stops instances that have been idle since before the given time, but never the last one.
func (p *pool) reap(before time.Time) {
	for _, in := range p.expendable(before) {
		in.stop()
	}
}

func (p *pool) expendable(before time.Time) []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	live := 0
	for _, in := range p.instances {
		if in.state != stopping {
			live++
		}
	}
	var out []*instance
	for len(p.idle) > 0 && live > 1 && p.idle[0].idleSince.Before(before) {
		in := p.idle[0]
		p.halt(in, fault{})
		out = append(out, in)
		live--
	}
	return out
}

// shut refuses further jobs and gives up those that wait.
func (p *pool) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for j := p.pop(); j != nil; j = p.pop() {
		j.finish(outcome{err: ErrClosed})
	}
}

// doom removes all instances whose end needs no report. A signalled process lives on for a moment and must get no job
// in that time.
func (p *pool) doom() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range p.instances {
		if in.state == starting { // the jobs that wait are for the next one
			in.state = stopping
		}
		if in.state != busy {
			p.halt(in, fault{})
		}
	}
	return slices.Clone(p.instances)
}

func (p *pool) all() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.instances)
}
