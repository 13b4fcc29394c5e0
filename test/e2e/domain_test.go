package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
)

// needsDomain skips a test where there is no custom domain, and leaves the domain as quick as it was.
func (m *target) needsDomain(t *testing.T) {
	t.Helper()
	onlyLocally(t, "it has no UpdateDomainName")
	t.Cleanup(func() {
		m.Domain.Takes(0)
		m.Domain.Fail("")
		m.Domain.Warn()
		m.Domain.Finish()
		if err := m.Tick(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

func truststoreOf(t *testing.T, answer map[string]any) map[string]any {
	t.Helper()
	shown, ok := answer["truststore"].(map[string]any)
	if !ok {
		t.Fatalf("truststore: %v", answer["truststore"])
	}
	return shown
}

func (m *target) shown(t *testing.T) map[string]any {
	t.Helper()
	return truststoreOf(t, m.operator().must(t, 200, "GET", "/pki/rotate-ca", m.admin(), nil).decode(t))
}

// object is the version of the truststore object in S3.
func (m *target) object(t *testing.T) string {
	t.Helper()
	bucket, key := (*stack.Stack)(nil).Bucket()
	out, err := m.Clients.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

func (m *target) served(t *testing.T) string {
	t.Helper()
	_, version, err := m.Domain.Served(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// The domain serves the standby's certificates before anyone needs them, so a rotation neither writes nor waits.
func TestDomainFollowsTheTruststore(t *testing.T) {
	m := borrow(t)
	m.needsDomain(t)
	m.forget(t)
	m.rotateCA(t) // past what a crashed preparation of another test may have left: the standby job waits for that
	m.standby(t)
	for range 2 {
		version := m.object(t)
		if got := m.served(t); got != version {
			t.Errorf("the domain serves %q, the object is of version %q", got, version)
		}
		if diff := cmp.Diff(map[string]any{"version": version, "status": "current"},
			truststoreOf(t, m.rotateCA(t))); diff != "" {
			t.Errorf("answer of a rotation (-want +got):\n%s", diff)
		}
		if got := m.object(t); got != version {
			t.Errorf("a rotation with a standby wrote the truststore: %q, then %q", version, got)
		}
		agent := m.enrol(t, fresh("served"))
		m.newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
		m.standby(t) // the next standby
		if diff := cmp.Diff(map[string]any{"version": m.object(t), "status": "current"}, m.shown(t)); diff != "" ||
			m.object(t) == version {
			t.Errorf("after the next standby, object %q after %q (-want +got):\n%s", m.object(t), version, diff)
		}
	}
}

// An update takes minutes. A rotation that had to make its CA says that the domain is not through, and does not wait
// for it.
func TestRotationDoesNotWaitForTheDomain(t *testing.T) {
	m := borrow(t)
	m.needsDomain(t)
	m.forget(t)
	m.standby(t)
	m.useUpStandby(t)
	m.Domain.Takes(time.Hour)
	began := time.Now()
	result := m.rotateCA(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the rotation took %s", took)
	}
	want := map[string]any{"version": m.object(t), "status": "updating"}
	if diff := cmp.Diff(want, truststoreOf(t, result)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, m.shown(t)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	agent := m.enrol(t, fresh("early"))
	if a := m.newClient(agent.certificate(t)).must(t, 403, "POST", tokenPath, nil, nil); !strings.Contains(string(a.body),
		"Forbidden") {
		t.Errorf("the edge lets in what the domain does not serve: %s", a.body)
	}
	m.Domain.Finish()
	m.newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	m.standby(t)
	if got := m.shown(t)["status"]; got != "updating" { // by now it updates to the next standby's object
		t.Errorf("status %v, want updating", got)
	}
	m.Domain.Finish()
	m.standby(t)
	if diff := cmp.Diff(map[string]any{"version": m.object(t), "status": "current"}, m.shown(t)); diff != "" {
		t.Errorf("status in the end (-want +got):\n%s", diff)
	}
}

// An enrolment with a bundle that is new to the edge points the domain at once, and says how far it is; the same bundle
// once more, while the domain is at it, says the same. A domain that is busy, or fails, refuses no enrolment.
func TestEnrolmentPointsTheDomain(t *testing.T) {
	m := borrow(t)
	m.needsDomain(t)
	m.forget(t)
	m.standby(t)
	enrolled := func(ca pki.Authority) (outsider, any) {
		t.Helper()
		name := fresh("edge")
		leaf := svid(t, ca, "spiffe://orga.local/ns/edge/"+name)
		members := map[string]any{"agent_name": name, "svid_pem": leaf.certPEM(), "svid_key_pem": leaf.keyPEM(t),
			"trust_bundle_pem": string(pki.EncodeCertificates(ca.Chain...))}
		return leaf, truststoreOf(t, m.postJSON(t, 201, spiffePath, members).decode(t))["status"]
	}
	ca := spireServer(t, nil)
	leaf, status := enrolled(ca)
	if status != "current" || m.served(t) != m.object(t) {
		t.Errorf("status %v, the domain serves %q of %q", status, m.served(t), m.object(t))
	}
	leaf.client(m).must(t, 200, "POST", tokenPath, nil, nil) // without a run of the standby job

	m.Domain.Takes(time.Hour)
	ca = spireServer(t, nil)
	leaf, status = enrolled(ca)
	if status != "updating" {
		t.Errorf("status %v while the domain is at it, want updating", status)
	}
	leaf.client(m).must(t, 403, "POST", tokenPath, nil, nil)
	if _, status := enrolled(ca); status != "updating" {
		t.Errorf("status %v of the same bundle, want updating", status)
	}
	if _, status := enrolled(spireServer(t, nil)); status != "pending" {
		t.Errorf("status %v of another bundle meanwhile, want pending", status)
	}
	m.Domain.Finish()
	leaf.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	m.Domain.Takes(0)
	m.standby(t)
	m.Domain.Fail("the truststore is unreadable today")
	if _, status := enrolled(spireServer(t, nil)); status != "failed" {
		t.Errorf("status %v of a domain that fails, want failed", status)
	}
	m.Domain.Fail("")
	m.standby(t)
	if m.served(t) != m.object(t) {
		t.Errorf("in the end the domain serves %q of %q", m.served(t), m.object(t))
	}
}

// A domain that refuses fails no rotation. It is shown, logged, and pointed at the object again by the next run.
func TestDomainThatFailsIsPointedAgain(t *testing.T) {
	m := borrow(t)
	m.needsDomain(t)
	m.forget(t)
	m.standby(t)
	m.useUpStandby(t)
	m.Domain.Fail("the truststore is unreadable today")
	before := len(m.output.String())
	if got := truststoreOf(t, m.rotateCA(t))["status"]; got != "failed" {
		t.Errorf("status %v, want failed", got)
	}
	if log := m.output.String()[before:]; !strings.Contains(log, `"msg":"pki.rotate.truststore"`) ||
		!strings.Contains(log, `"status":"failed"`) {
		t.Errorf("log:\n%s", log)
	}
	m.standby(t)
	if got := m.shown(t)["status"]; got != "failed" {
		t.Errorf("status %v after another failure, want failed", got)
	}
	m.Domain.Fail("")
	m.standby(t)
	if diff := cmp.Diff(map[string]any{"version": m.object(t), "status": "current"}, m.shown(t)); diff != "" ||
		m.served(t) != m.object(t) {
		t.Errorf("serves %q of %q, status in the end (-want +got):\n%s", m.served(t), m.object(t), diff)
	}
}

func TestWarningsOfTheDomainAreShown(t *testing.T) {
	m := borrow(t)
	m.needsDomain(t)
	m.forget(t)
	m.standby(t)
	m.rotateCA(t)
	m.Domain.Warn("certificate 1 is not to its taste")
	m.standby(t)
	if diff := cmp.Diff(map[string]any{"version": m.object(t), "status": "current",
		"warnings": []any{"certificate 1 is not to its taste"}}, m.shown(t)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	m.Domain.Warn()
	m.rotateCA(t)
	m.standby(t)
	if _, ok := m.shown(t)["warnings"]; ok {
		t.Errorf("warnings of an object that is not served any more: %v", m.shown(t))
	}
}

// A domain that has not served the object for long is a warning; the next run that finds it through takes it back.
func TestDomainThatIsBehindIsAWarning(t *testing.T) {
	m := borrow(t)
	m.needsDomain(t)
	m.forget(t)
	m.standby(t)
	warns := func() bool {
		health := m.operator().must(t, 200, "GET", "/healthz", nil, nil).decode(t)
		for _, w := range health["warnings"].([]any) {
			if w == "truststore_out_of_date" {
				return true
			}
		}
		return false
	}
	if warns() {
		t.Fatal("a warning while all is well")
	}
	behind := m.state(t).Truststore
	behind.Status, behind.Since = registry.TruststoreUpdating, time.Now().Add(-time.Hour)
	if err := m.store().Apply(t.Context(), registry.Change{ID: fresh("behind"), Truststore: &behind}); err != nil {
		t.Fatal(err)
	}
	if !warns() {
		t.Error("no warning of a domain that has been behind for an hour")
	}
	m.standby(t)
	if warns() {
		t.Error("the warning stays although the domain serves the object")
	}
}
