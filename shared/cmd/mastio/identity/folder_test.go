package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
)

// issue makes a certificate of the key in a request.
func issue(t *testing.T, csrPEM, agent string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(csrPEM))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		t.Fatalf("the request does not prove its key: %v", err)
	}
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: agent}}, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}, csr.PublicKey, ca)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func folder(t *testing.T, now *time.Time) identity.Folder {
	t.Helper()
	return identity.Folder{Dir: filepath.Join(t.TempDir(), "agent"), Now: func() time.Time { return *now }}
}

// prepared returns a request and the CSR in it.
func prepared(t *testing.T, f identity.Folder, path string) (identity.Order, string) {
	t.Helper()
	var csr string
	p, err := f.Prepare(path, "", func(o identity.Offer) (any, error) {
		csr = o.CSRPEM
		return map[string]any{"csr_pem": o.CSRPEM, "dpop_jwk": o.Proof}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, csr
}

func TestInstall(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	f := folder(t, &now)
	p, csr := prepared(t, f, "/enrol")
	if strings.Contains(string(p.Body), "PRIVATE") || strings.Contains(string(p.Body), `"d"`) {
		t.Errorf("the request carries a private key: %s", p.Body)
	}
	if err := f.Install(p, "orga::other", issue(t, csr, "orga::kyc")); err == nil || f.Holds() {
		t.Errorf("a certificate of another agent was put in place: %v", err)
	}
	_, stranger, err := identity.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Install(p, "orga::kyc", issue(t, stranger.CSRPEM, "orga::kyc")); err == nil || f.Holds() {
		t.Errorf("a certificate of another key was put in place: %v", err)
	}
	if err := f.Install(p, "orga::kyc", issue(t, csr, "orga::kyc")); err != nil {
		t.Fatal(err)
	}
	if agent, err := f.Agent(); agent != "orga::kyc" || err != nil {
		t.Errorf("the folder is of %q, %v", agent, err)
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", e.Name(), info.Mode().Perm())
		}
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "agent-key.pem cert.pem dpop.jwk" {
		t.Errorf("the folder has %s", got)
	}
	proof, err := os.ReadFile(filepath.Join(f.Dir, identity.ProofFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, public, err := identity.ProofKey(proof); err != nil || !strings.Contains(string(p.Body), string(public)) {
		t.Errorf("the proof key in the folder is not the one that was registered: %v", err)
	}
}

// A request that was written down is sent again as it was, whenever the first run ended. A crash between two renames
// leaves a key without its certificate: the second run mends it.
func TestRequestSurvivesACrash(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	f := folder(t, &now)
	p, csr := prepared(t, f, "/enrol")
	if err := os.WriteFile(filepath.Join(f.Dir, identity.KeyFile), []byte(p.Keys.KeyPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.Dir, identity.CertFile+".new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(22 * time.Hour)
	again, other := prepared(t, f, "/enrol")
	if again.Key != p.Key || string(again.Body) != string(p.Body) || other != "" {
		t.Errorf("the repetition is another request: %+v", again)
	}
	compose := func(identity.Offer) (any, error) { return nil, nil }
	if _, err := f.Prepare("/rotate", "", compose); err == nil || !strings.Contains(err.Error(), "another request") {
		t.Errorf("another request took the place of one that is pending: %v", err)
	}
	if err := f.Install(again, "orga::kyc", issue(t, csr, "orga::kyc")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Pair(); err != nil {
		t.Errorf("key and certificate do not belong together: %v", err)
	}
	p, _ = prepared(t, f, "/rotate")
	now = now.Add(24 * time.Hour) // the Mastio does not know the key any more
	if _, err := f.Prepare("/rotate", "", compose); err == nil {
		t.Error("a request was repeated that the Mastio no longer knows")
	}
	if err := f.Drop(); err != nil {
		t.Fatal(err)
	}
	if next, _ := prepared(t, f, "/rotate"); next.Key == p.Key {
		t.Error("the key of a dropped request is used again")
	}
}

func TestFolderThatOthersCanWrite(t *testing.T) {
	now := time.Now()
	f := folder(t, &now)
	if err := os.Mkdir(f.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Dir, 0o777); err != nil { //nolint:gosec // what is to be refused
		t.Fatal(err)
	}
	if _, err := f.Prepare("/x", "", func(identity.Offer) (any, error) { return nil, nil }); err == nil {
		t.Error("a folder that others can write was accepted")
	}
}
