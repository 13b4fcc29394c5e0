package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// startUp runs the check that a deployment runs, as the real function, and returns what it fails with.
func (m *target) startUp(t *testing.T) string {
	t.Helper()
	onlyLocally(t, "the deployment has run the start-up check")
	r, err := m.Lambda.Invoke(t.Context(), "startup", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if r.FunctionError == "" {
		return ""
	}
	return string(r.Payload)
}

func TestDeploymentIsStoppedByAMissingTruststore(t *testing.T) {
	m := borrow(t)
	if reason := m.startUp(t); reason != "" {
		t.Fatalf("a running system does not start: %s", reason)
	}
	buckets, err := m.Clients.S3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var bucket *string
	for _, b := range buckets.Buckets {
		if strings.Contains(*b.Name, "truststore") {
			bucket = b.Name
		}
	}
	if bucket == nil {
		t.Fatalf("none of %d buckets is the truststore's", len(buckets.Buckets))
	}
	key := "truststore.pem"
	if _, err := m.Clients.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: bucket,
		Key:    &key,
	}); err != nil {
		t.Fatal(err)
	}
	const want = "the truststore object is missing"
	if reason := m.startUp(t); !strings.Contains(reason, want) {
		t.Errorf("reason = %q, want %q", reason, want)
	}
	m.tick(t) // the standby job mends it
	if reason := m.startUp(t); reason != "" {
		t.Errorf("after the standby job: %s", reason)
	}
}
