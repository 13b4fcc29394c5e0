package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/localstack/stack"
)

// meter measures the CPU time of every process of a system over a while.
type meter struct {
	system *stack.Stack
	before map[string]map[int]time.Duration // by name and process id
	after  map[string]map[int]time.Duration
	own    time.Duration // of this process, which is gateway, KMS, S3 and Secrets Manager
}

// process is what one kind of process used.
type process struct {
	name string
	cpu  time.Duration
}

// start begins to measure; the function that it returns ends it.
func (m *meter) start() (stop func() error, err error) {
	if m.before, err = m.read(); err != nil {
		return nil, err
	}
	began := ownCPU()
	return func() error {
		m.own = ownCPU() - began
		m.after, err = m.read()
		return err
	}, nil
}

func (m *meter) read() (map[string]map[int]time.Duration, error) {
	pids := m.system.Lambda.Processes()
	pids["DynamoDB Local"] = []int{m.system.DatabasePID()}
	all := map[string]map[int]time.Duration{}
	for name, list := range pids {
		all[name] = map[int]time.Duration{}
		for _, pid := range list {
			cpu, err := cpuOf(pid)
			if err != nil {
				return nil, fmt.Errorf("CPU time of %s: %w", name, err)
			}
			all[name][pid] = cpu
		}
	}
	return all, nil
}

// used lists what was used, leaving out processes that did nothing. A process that began in between counts whole.
func (m *meter) used(client time.Duration) []process {
	list := []process{{"gateway and KMS, S3, secrets (one process)", m.own}}
	total := m.own
	for _, name := range slices.Sorted(maps.Keys(m.after)) {
		var sum time.Duration
		for pid, cpu := range m.after[name] {
			sum += cpu - m.before[name][pid]
		}
		if sum > 0 {
			list = append(list, process{fmt.Sprintf("%s (%d processes)", name, len(m.after[name])), sum})
			total += sum
		}
	}
	return append(list, process{"all of these", total}, process{"the load's client, not included", client})
}
