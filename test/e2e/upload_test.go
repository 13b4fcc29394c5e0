package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
	"time"

	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
)

// operatorCA is a CA as an operator brings it.
type operatorCA struct{ cert, key []byte }

func newOperatorCA(t *testing.T, pathLen int) operatorCA {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "Operator Root " + fresh("ca")},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            pathLen,
		MaxPathLenZero:        pathLen == 0,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return operatorCA{pki.EncodeCertificates(cert), encoded}
}

// form is what curl -F sends.
func (ca operatorCA) form(t *testing.T) (mediaType string, body []byte) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for name, content := range map[string][]byte{"ca_cert": ca.cert, "ca_key": ca.key} {
		f, err := w.CreateFormFile(name, name+".pem")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), out.Bytes()
}

func (m *target) upload(t *testing.T, to *client, ca operatorCA, query, idempotencyKey string) answer {
	t.Helper()
	kind, body := ca.form(t)
	header := with(m.admin(), "Content-Type", kind)
	if idempotencyKey != "" {
		header["Idempotency-Key"] = idempotencyKey
	}
	a, err := to.do(t.Context(), "POST", "/pki/rotate-ca?"+query, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a answer) want(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || code != "" && a.code() != code {
		t.Fatalf("answer %d %s, want %d %s", a.status, a.body, status, code)
	}
}

// The operator's CA over the wire, stage by stage; agents' certificates verify under it.
func TestUpload(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	agent := m.enrol(t, fresh("uploaded"))
	ca := newOperatorCA(t, 1)
	seen := m.upload(t, m.operator(), ca, "mode=stage&source=upload", "")
	seen.want(t, 200, "")
	again := m.upload(t, m.operator(), ca, "mode=upload", "")
	again.want(t, 422, "ca_key_reused")
	if !strings.Contains(string(again.body), "mode=commit") {
		t.Errorf("the refusal does not say that the CA is staged: %s", again.body)
	}
	fingerprint := seen.decode(t)["fingerprint"].(string)
	if done := m.change(t, "mode=commit&fingerprint="+fingerprint); done["source"] != "upload" {
		t.Errorf("commit = %v", done)
	}
	m.newClient(agent.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
	moved := m.rotate(t, agent.AgentID)
	m.newClient(moved.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	chain, err := pki.ParseCertificates([]byte(moved.CAChainPEM))
	if err != nil || len(chain) != 2 || pki.Thumbprint(chain[1].Raw) != fingerprint {
		t.Errorf("chain of %d, %v; want one that ends in the uploaded CA", len(chain), err)
	}
	g, _ := m.state(t).Generation(m.state(t).Pointer.Current)
	if got := m.keyState(t, g.RootKey); !onLocalStack() && got != kmstypes.KeyStateDisabled {
		t.Errorf("the uploaded root key is %s, want Disabled", got)
	}
	m.rotateCA(t)
	m.standby(t)
	m.checkWhole(t)
}

func TestRefusedUploadLeavesNothing(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	before := m.state(t)
	a := m.upload(t, m.operator(), newOperatorCA(t, 0), "mode=upload", "")
	a.want(t, 422, "ca_path_len_zero")
	var problem struct {
		Errors []struct{ Code, Detail string }
	}
	if err := json.Unmarshal(a.body, &problem); err != nil || len(problem.Errors) != 1 || problem.Errors[0].Detail == "" {
		t.Errorf("problem = %s, %v", a.body, err)
	}
	if !m.recorded(t, audit.OrgCAUploadRefused) {
		t.Error("the refusal is not on the record")
	}
	if onLocalStack() { // whose schedule may stage the next standby meanwhile
		return
	}
	after := m.state(t)
	same := func(a, b orgca.Generation) bool {
		return a.Number == b.Number && a.State == b.State && a.Version == b.Version
	}
	if !slices.EqualFunc(before.Generations, after.Generations, same) || after.Head.Seq != before.Head.Seq+1 {
		t.Errorf("generations %d → %d, rows %d → %d; want the same, and one row", len(before.Generations),
			len(after.Generations), before.Head.Seq, after.Head.Seq)
	}
}

// Each case kills the real function at one remote call of an upload. The repetition under the same idempotency key ends
// it, whether or not it was committed; what was cut off is cleared away later. With -short, that is one call in
// three and the commit.
func TestUploadKilledAtEveryStep(t *testing.T) {
	needsFaults(t)
	const commit = "dynamodb.TransactWriteItems/4"
	for i, step := range []string{
		"dynamodb.UpdateItem/1", "dynamodb.Query/1", "dynamodb.UpdateItem/2", "dynamodb.TransactWriteItems/1",
		"kms.CreateKey/1",
		"kms.GetParametersForImport/1", "kms.ImportKeyMaterial/1", "kms.GetPublicKey/1", "kms.CreateKey/2",
		"kms.GetPublicKey/2",
		"dynamodb.TransactWriteItems/2", "kms.Sign/1", "kms.Sign/2", "kms.DisableKey/1", "dynamodb.TransactWriteItems/3",
		"dynamodb.UpdateItem/3", "s3.GetObject/1", "s3.PutObject/1", commit,
	} {
		for _, after := range []bool{false, true} {
			if isLeftOut(i, after) && step != commit {
				continue
			}
			t.Run(fmt.Sprintf("%s, carried out %v", step, after), func(t *testing.T) { borrow(t).killUpload(t, step, after) })
		}
	}
}

func (m *target) killUpload(t *testing.T, step string, after bool) {
	m.forget(t)
	before := m.state(t)
	call, nth, _ := strings.Cut(step, "/")
	r := &rule{call: call, after: after, strike: func() { m.Lambda.Kill("rotateca") }}
	if _, err := fmt.Sscan(nth, &r.nth); err != nil {
		t.Fatal(err)
	}
	ca, once := newOperatorCA(t, 1), fresh("upload")
	m.faults.set(r)
	a := m.upload(t, m.operator(), ca, "mode=upload", once)
	struck := m.faults.struck()
	m.faults.set(nil)
	if !struck {
		t.Fatalf("the upload ended without the call %s: %d %s", step, a.status, a.body)
	}
	a.want(t, 502, "")
	m.checkWhole(t)
	committed := m.state(t).Pointer.Current != before.Pointer.Current
	if committed && !after {
		t.Errorf("killed before %s was carried out, and yet committed", step)
	}
	m.forget(t)
	again := m.upload(t, m.operator(), ca, "mode=upload", once) // takes what is staged, where the upload got so far
	again.want(t, 200, "")
	if got := again.decode(t)["fingerprint"]; got != thumbprint(t, ca) {
		t.Errorf("the repetition made %v current", got)
	}
	if replayed := again.header.Get("Idempotency-Replayed") == "true"; replayed != committed {
		t.Errorf("committed before: %t, answered as a replay: %t", committed, replayed)
	}
	m.standby(t)
	m.checkWhole(t)
}

func thumbprint(t *testing.T, ca operatorCA) string {
	t.Helper()
	certs, err := pki.ParseCertificates(ca.cert)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Thumbprint(certs[0].Raw)
}
