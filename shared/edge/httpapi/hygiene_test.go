package httpapi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

type upkeep struct {
	Deliver string     `json:"deliver"`
	Due     *time.Time `json:"due"`
	Told    bool       `json:"told"`
	Secret  string     `json:"secret"`
}

func (w *world) upkeep(t *testing.T, a answer) upkeep {
	t.Helper()
	var got struct {
		Hygiene upkeep `json:"hygiene"`
	}
	a.into(t, 200, &got)
	return got.Hygiene
}

func TestHygieneIsSetAtEnrolmentAndChanged(t *testing.T) {
	w := open(t, memstore.Config{})
	due := w.Now().AddDate(1, 0, 0).Add(-30*24*time.Hour - 5*time.Minute)
	const path = "/v1/admin/agents/orga::a"
	w.send(t, event("POST", "/v1/admin/agents", admin,
		jsonBody(`{"agent_name":"a","hygiene":{"deliver":"secretsmanager"}}`))).into(t, 201, &struct{}{})
	delivered := upkeep{Deliver: "secretsmanager", Due: &due, Secret: "mastio/agents/orga/a"}
	if diff := cmp.Diff(delivered, w.upkeep(t, w.send(t, event("GET", path, admin)))); diff != "" {
		t.Errorf("after the enrolment (-want +got):\n%s", diff)
	}
	for range 2 {
		told := w.upkeep(t, w.send(t, event("PUT", path+"/hygiene", admin, jsonBody(`{"deliver":"notify"}`))))
		if diff := cmp.Diff(upkeep{Deliver: "notify", Due: &due}, told); diff != "" {
			t.Errorf("after the change (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(upkeep{
		Deliver: "notify",
		Due:     &due,
	}, w.upkeep(t, w.send(t, event("GET", path, admin)))); diff != "" {
		t.Errorf("read after the change (-want +got):\n%s", diff)
	}

	for _, r := range []refusal{
		{"another way", event("PUT", path+"/hygiene", admin, jsonBody(`{"deliver":"mail"}`)), 400, "hygiene_invalid"},
		{"no way", event("PUT", path+"/hygiene", admin, jsonBody(`{}`)), 400, "hygiene_invalid"},
		{"nobody", event("PUT", "/v1/admin/agents/orga::nobody/hygiene", admin, jsonBody(`{"deliver":"notify"}`)), 404,
			"agent_not_found"},
		{"no agent", event("PUT", "/v1/admin/agents/nobody/hygiene", admin, jsonBody(`{"deliver":"notify"}`)), 400,
			"agent_id_invalid"},
	} {
		w.refuse(t, "/v1/admin/agents/{agent_id}/hygiene", r)
	}
	w.refuse(t, "/v1/admin/agents",
		refusal{"another way at enrolment",
			event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"b","hygiene":{"deliver":"mail"}}`)), 400,
			"hygiene_invalid"})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "byo", leaf)).into(t, 201, &enrolAnswer{})
	w.refuse(t, "/v1/admin/agents/{agent_id}/hygiene",
		refusal{"issued elsewhere", event("PUT", "/v1/admin/agents/orga::byo/hygiene", admin,
			jsonBody(`{"deliver":"secretsmanager"}`)), 409, "rotate_at_your_ca"})
}
