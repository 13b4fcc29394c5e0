package dashboard

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// outsider reads the form of an agent whose certificate was issued elsewhere. The form takes no private key: a
// signature proves that its sender has the key.
func outsider(f url.Values) (enroll.Outside, []field) {
	given, problems := why(f)
	req := enroll.Outside{
		Name:    strings.TrimSpace(f.Get("name")),
		Profile: agent.ReadProfile(f.Get),
		CertPEM: []byte(strings.TrimSpace(f.Get("cert")) + "\n"),
		Proof:   strings.Join(strings.Fields(f.Get("proof")), ""),
		Update:  f.Get("update") != "",
	}
	if req.Update {
		req.Reason = given
	}
	if bundle := strings.TrimSpace(f.Get("bundle")); bundle != "" {
		req.BundlePEM = []byte(bundle + "\n")
	}
	if jwk := strings.TrimSpace(f.Get("dpop")); jwk != "" {
		if req.DPoPJWK = json.RawMessage(jwk); !json.Valid(req.DPoPJWK) {
			problems = append(problems, field{"dpop", "This is not a JSON Web Key."})
		}
	}
	return req, problems
}

// admit enrols an agent with its own certificate. Nothing of the answer is secret, so the agent's page is the answer.
func (d *Dashboard) admit(w http.ResponseWriter, r *http.Request, m agent.Method, f url.Values) error {
	req, problems := outsider(f)
	if len(problems) > 0 {
		d.showEnrol(w, r, m, fresh(enrolPath, f, problems...))
		return nil
	}
	req.By, req.Limit = d.by(r), visitOf(r.Context()).Admin.Limit()
	do := d.Enroll.BYOCA
	if m == agent.SPIFFE {
		do = d.Enroll.SPIFFE
	}
	out, err := do(r.Context(), req)
	if err != nil {
		if d.refuseEnrol(w, r, m, f, err) {
			return nil
		}
		if p := d.problem(r, err); p.Status == http.StatusBadRequest { // of the certificate: its checks are many
			d.showEnrol(w, r, m, fresh(enrolPath, f, field{"cert", sentences(p)}))
			return nil
		}
		return err
	}
	done := "enrolled"
	if out.Truststore != "" && out.Truststore != registry.TruststoreCurrent {
		done = "awaited"
	}
	http.Redirect(w, r, agentsPath+"/"+string(out.Agent.ID)+"?done="+done, http.StatusSeeOther)
	return nil
}

// proofCommand is the command that makes the possession proof for the name and the certificate of a form.
func (d *Dashboard) proofCommand(m agent.Method, f url.Values) string {
	id, err := agent.NewID(d.OrgID, strings.TrimSpace(f.Get("name")))
	if m == agent.Minted || err != nil {
		return ""
	}
	certs, err := pki.ParseCertificates([]byte(strings.TrimSpace(f.Get("cert")) + "\n"))
	if err != nil || len(certs) == 0 {
		return ""
	}
	options := ""
	if _, is := certs[0].PublicKey.(*rsa.PublicKey); is {
		options = " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"
	}
	return fmt.Sprintf("printf '%%s' '%s' | openssl dgst -sha256 -sign KEY.pem%s | basenc --base64url -w0 | tr -d =",
		enroll.ProofMessage(m, id, pki.Thumbprint(certs[0].Raw)), options)
}
