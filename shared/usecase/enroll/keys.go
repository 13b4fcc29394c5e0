package enroll

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// admitKey decides whether a certificate that was issued elsewhere may authenticate the agent by the key that it has,
// and returns the record a and the agent's keys as they are to be stored. After a compromise both name what old lost.
// old is the active agent that is enrolled again or updated; nil: there is none.
//
// A key is certified once. The exception is a BYOCA agent that re-enrols under a new generation of the Org CA, because
// a PKI may sign the same request again: it brings its present key, unless that key, or the generation that it leaves,
// was declared compromised. SVIDs come and go without a word; of theirs only keys that were the agent's before are
// refused.
//
// Errors: agent.ErrKeyUsed, agent.ErrProofKeyUsed.
func (e *Enroller) admitKey(
	ctx context.Context, m agent.Method, r submission, old *agent.Agent, a agent.Agent, p orgca.Pointer,
) (agent.Agent, agent.Keys, error) {
	keys, err := e.Store.Keys(ctx, r.id)
	if err != nil {
		return a, keys, err
	}
	var known agent.Agent
	if old != nil {
		known = *old
	}
	if r.reason.Code.Compromise() {
		var lost agent.Agent
		lost, keys = agent.Compromise(known, keys)
		if old != nil { // otherwise the record has what the agent lost before
			a.Past.Lost = lost.Past.Lost
		}
	}
	if err := keys.SoundProofKey(r.jkt); err != nil {
		return a, keys, err
	}
	again, err := e.mayRepeat(ctx, m, r, known, p)
	if err != nil {
		return a, keys, err
	}
	if again {
		err = keys.Sound(r.key)
	} else {
		err = keys.Fresh(known, r.key)
	}
	keys = keys.Remember(known)
	keys.Staged = nil
	if m == agent.BYOCA {
		keys = keys.Certify(r.key)
	}
	return a, keys, err
}

// mayRepeat reports whether the agent shows the certificate that it has already, or re-enrols under a new generation
// with its present key, and the generation that it leaves was not declared compromised.
func (e *Enroller) mayRepeat(
	ctx context.Context, m agent.Method, r submission, known agent.Agent, p orgca.Pointer,
) (bool, error) {
	present := known.Pin()
	if m == agent.BYOCA && present.Thumbprint == r.thumbprint { // the same request once more: nothing is certified anew
		return true, nil
	}
	if m != agent.BYOCA || present.Key != r.key || present.Generation == p.Current {
		return false, nil
	}
	org, err := e.Store.Org(ctx)
	if err != nil {
		return false, err
	}
	return !org.LeftCompromised(present.Generation), nil
}
