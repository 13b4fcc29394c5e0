package hygiene_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// Who may write the agent's secret and has a certificate of that agent that was replaced puts it there under the id
// that the next run looks for, which is no secret. Hygiene does not pin it: whatever the reason for which it was
// replaced.
func TestSecretRevivesNoCertificate(t *testing.T) {
	for _, why := range []reason.Code{reason.KeyCompromise, reason.Superseded} {
		m := fresh(t, memstore.Config{})
		a := admit(t, m, "a", agent.SecretsManager)
		old := string(a.Certificate.CertPEM)
		m.Advance(day)
		out, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent:  a.Agent.ID,
			Reason: reason.Statement{Code: why},
			By:     audit.By{Actor: "test"},
		})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(fmt.Appendf(nil, "mastio-hygiene:v1|%s|%s|%d|%d", a.Agent.ID, out.Certificate.Pin.Thumbprint,
			out.Certificate.Pin.Generation, 0))
		value, err := json.Marshal(map[string]any{"agent_id": a.Agent.ID, "cert_pem": old,
			"key_pem": string(a.Material.KeyPEM), "dpop_jwk": a.Material.DPoPJWK, "ca_chain_pem": ""})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Secrets.Stage(t.Context(), hygiene.SecretName(a.Agent.ID), hex.EncodeToString(sum[:]),
			value); err != nil {
			t.Fatal(err)
		}
		m.Advance(336 * day)
		report, err := m.Hygiene.Run(t.Context())
		if err != nil || report.Rotated != 1 || report.Failed != 0 {
			t.Errorf("%s: %+v, %v: the delivery goes past what it does not believe", why, report, err)
		}
		counts(t, m, string(why)+": the certificate that was replaced", old, false)
		counts(t, m, string(why)+": the one in use", string(out.Certificate.CertPEM), true)
	}
}
