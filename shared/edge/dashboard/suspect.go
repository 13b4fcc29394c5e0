package dashboard

import (
	"context"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// mostSuspects is how many suspect agents the overview names.
const mostSuspects = 20

// suspectList is the suspect agents that the overview names.
type suspectList struct {
	Agents []agent.Agent
	More   bool // there are others
}

// suspects reads who is suspect, where the state of health warns of it: the page costs nothing more otherwise.
func (d *Dashboard) suspects(ctx context.Context, s health.State) (suspectList, error) {
	var found suspectList
	if !slices.Contains(s.Warnings, warnings.CredentialSuspect) {
		return found, nil
	}
	ids, err := d.Registry.Suspects(ctx, mostSuspects+1)
	if err != nil || len(ids) == 0 {
		return found, err
	}
	found.More = len(ids) > mostSuspects
	found.Agents, err = d.Registry.Records(ctx, ids[:min(len(ids), mostSuspects)])
	return found, err
}

// evidence is what made an agent suspect, in a sentence.
func evidence(s agent.Suspect) string {
	switch s.Evidence {
	case agent.ForeignProofKey:
		return "One DPoP key was used by this agent and by " + string(s.Other) + "."
	case agent.ForeignRequest:
		return "A renewal of one of two agents asked for a certificate with a key of the other: this agent and " +
			string(s.Other) + "."
	case agent.DeadCertificate:
	}
	return "A dead certificate was used after its successor had been in use for longer than a token lives."
}

// suspected is the state of a suspect agent, with what to do.
func suspected(a agent.Agent) chip {
	text := evidence(a.Suspect) + " Two parties may have its keys. Look at its host and its access log, then "
	switch {
	case a.Method != agent.Minted:
		text += "enrol it again with a new key (update_existing), with the reason keyCompromise: both parties lose."
	default:
		text += "rotate its certificate with the reason keyCompromise: both parties lose."
	}
	if a.Contained() {
		return chip{"bad", "Suspect", text + " Until then it gets no token."}
	}
	return chip{"bad", "Suspect", text + " Until then it gets tokens; suspicion contain would stop them."}
}
