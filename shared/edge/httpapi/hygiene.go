package httpapi

import (
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// upkeep is what is done when an agent's certificate grows old, and when.
type upkeep struct {
	Deliver agent.Delivery `json:"deliver"`
	Due     *time.Time     `json:"due"`              // null: not issued by the Mastio, or already notified
	Told    bool           `json:"told"`             // the event agent.cert_due is out for this certificate
	Secret  string         `json:"secret,omitempty"` // in Secrets Manager
}

func upkeepOf(a agent.Agent) upkeep {
	h := upkeep{Deliver: a.Hygiene.Deliver}
	if h.Deliver == "" {
		h.Deliver = agent.Notify
	}
	if h.Deliver == agent.SecretsManager {
		h.Secret = hygiene.SecretName(a.ID)
	}
	due, notified := a.Due()
	if h.Told = notified; !notified && !due.IsZero() {
		h.Due = &due
	}
	return h
}

func (h agents) setHygiene(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Deliver string `json:"deliver"`
	}
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	id, err := agent.ParseID(r.PathValue("agent_id"))
	if err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	deliver, err := agent.ParseDelivery(body.Deliver)
	if err != nil || body.Deliver == "" {
		return agent.ErrDelivery
	}
	call := CallOf(r.Context())
	a, err := h.SetHygiene(r.Context(), enroll.Policy{Agent: id, Deliver: deliver, By: call.By})
	if err != nil {
		return err
	}
	write(w, http.StatusOK, "application/json", struct {
		AgentID agent.ID `json:"agent_id"`
		Hygiene upkeep   `json:"hygiene"`
	}{id, upkeepOf(a)})
	return nil
}
