package httpapi

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

// An Idempotency-Key stands for the hash of the body in this form, for a day. A member that moves would refuse the
// repetition of a request that an earlier release carried out.
func TestFormOfEnrolments(t *testing.T) {
	const first, key = `{"agent_name":"","display_name":"","capabilities":null,`,
		`"dpop_jwk":null,"dpop_bound_access_tokens":null,`
	const outside = first + `"possession_proof":"",` + key +
		`"update_existing":false,"reason":"","comment":"","federated":false,`
	for want, body := range map[string]any{
		first + `"csr_pem":null,` + key + `"hygiene":{"deliver":""},"federated":false}`: mintBody{},
		outside + `"cert_pem":"","private_key_pem":""}`:                                 byocaBody{},
		outside + `"svid_pem":"","svid_key_pem":"","trust_bundle_pem":null}`:            spiffeBody{},
	} {
		if got, err := json.Marshal(body); err != nil || string(got) != want {
			t.Errorf("%T:\n got %s, %v\nwant %s", body, got, err, want)
		}
	}
}

// A caller reads the member's name, wherever the struct has it.
func TestMemberOfTheWrongType(t *testing.T) {
	for body, want := range map[string]string{
		`{"capabilities":"read"}`:        `member "capabilities" `,
		`{"agent_name":1}`:               `member "agent_name" `,
		`{"comment":1}`:                  `member "comment" `,
		`{"trust_bundle_pem":1}`:         `member "trust_bundle_pem" `,
		`{"dpop_bound_access_tokens":1}`: `member "dpop_bound_access_tokens" `,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if err := decode(r, &spiffeBody{}, false); !errors.Is(err, ErrJSON) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"hygiene":{"deliver":1}}`))
	r.Header.Set("Content-Type", "application/json")
	if err := decode(r, &mintBody{}, false); err == nil || !strings.Contains(err.Error(), `"hygiene.deliver"`) {
		t.Errorf("a member within a member: %v", err)
	}
}
