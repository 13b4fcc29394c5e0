package httpapi

import (
	"net/http"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// amend answers PATCH: a merge patch (RFC 7396) of an agent's profile. A member that is null goes back to what an agent
// without it has.
func (h agents) amend(w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	id, err := agent.ParseID(r.PathValue("agent_id"))
	if err != nil {
		return err
	}
	var p agent.Patch
	if err := decodeAs(r, &p, false, "application/merge-patch+json", "application/json"); err != nil {
		return err
	}
	a, counts, err := h.Amend(r.Context(), enroll.Amendment{By: CallOf(r.Context()).By, Agent: id, Patch: p})
	if err != nil {
		return err
	}
	seen, _ := h.LastSeen(r.Context(), a) // the change is made: null, as where none is known, is no reason for an error
	writeInFull(w, a, counts, seen)
	return nil
}
