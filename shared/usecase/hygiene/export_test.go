package hygiene

import "github.com/mastio-aws/mastio/shared/agent"

// Versions are those that a delivery may take.
func Versions(a agent.Agent, generation int64) (all []string) {
	for n := range spares {
		all = append(all, versionOf(a, generation, n))
	}
	return all
}
