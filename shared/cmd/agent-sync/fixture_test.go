package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/pki"
)

const alice = "orga::alice"

// authority is an Org CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(
	t testing.TB, template, parent *x509.Certificate, pub *ecdsa.PublicKey, by *ecdsa.PrivateKey,
) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newAuthority(t testing.TB) authority {
	key := newKey(t)
	c := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "orga Org CA"},
		NotAfter:              time.Now().AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return authority{sign(t, c, c, &key.PublicKey, key), key}
}

// issue is what hygiene writes for an agent whose certificate begins so long after noon.
func (a authority) issue(t testing.TB, agent string, after time.Duration) map[string]any {
	t.Helper()
	key, proof := newKey(t), newKey(t)
	leaf := sign(t, &x509.Certificate{
		Subject:   pkix.Name{CommonName: agent},
		NotBefore: noon.Add(after),
		NotAfter:  noon.AddDate(1, 0, 0),
	}, a.cert, &key.PublicKey, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dpop, err := jose.PrivateJWK(proof)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"agent_id": agent, "cert_pem": string(pki.EncodeCertificates(leaf, a.cert)), "dpop_jwk": dpop, "generation": 1,
		"key_pem": string(pem.EncodeToMemory(&pem.Block{
			Type:  "PRIVATE KEY",
			Bytes: der,
		})), "cert_thumbprint": pki.Thumbprint(leaf.Raw),
	}
}

var noon = time.Now().UTC().Truncate(time.Second)

// vault is Secrets Manager with one secret.
type vault struct {
	mu       sync.Mutex // of what agent-sync reads while a test puts
	versions []delivery
	at       int // index of the current one; -1: there is no secret
	down     error
	looks    int // DescribeSecret
	reads    int // GetSecretValue
}

// put makes a value the current version, created so long after noon.
func (v *vault) put(t testing.TB, value any, after time.Duration) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = len(v.versions)
	v.versions = append(v.versions, delivery{fmt.Sprintf("version-%d", v.at+1), noon.Add(after), text})
}

func (v *vault) answer() error {
	if v.down != nil {
		return v.down
	}
	if v.at < 0 || v.at >= len(v.versions) {
		return &types.ResourceNotFoundException{}
	}
	return nil
}

// DescribeSecret answers which version has which label.
func (v *vault) DescribeSecret(
	context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options),
) (*secretsmanager.DescribeSecretOutput, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.looks++
	if err := v.answer(); err != nil {
		return nil, err
	}
	stages := map[string][]string{}
	for i, d := range v.versions {
		stages[d.id] = []string{"AWSPENDING"}
		if i == v.at {
			stages[d.id] = []string{"AWSCURRENT"}
		}
	}
	return &secretsmanager.DescribeSecretOutput{VersionIdsToStages: stages}, nil
}

// GetSecretValue answers the current version.
func (v *vault) GetSecretValue(
	_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads++
	if err := v.answer(); err != nil {
		return nil, err
	}
	if aws.ToString(in.VersionStage) != "AWSCURRENT" {
		return nil, errors.New("another version was asked for")
	}
	d := v.versions[v.at]
	return &secretsmanager.GetSecretValueOutput{
		VersionId:    &d.id,
		CreatedDate:  &d.created,
		SecretString: aws.String(string(d.value)),
	}, nil
}

// host is an agent's host: its directory, and agent-sync with a fake of Secrets Manager.
type host struct {
	*syncer
	*vault
	ca   authority
	said *bytes.Buffer
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{vault: &vault{}, ca: newAuthority(t), said: &bytes.Buffer{}}
	h.syncer = &syncer{
		secret: secret{h.vault, "mastio/agents/orga/alice"},
		dir:    filepath.Join(t.TempDir(), "identity"),
		now:    func() time.Time { return noon.Add(time.Hour) },
		log:    slog.New(slog.NewTextHandler(h.said, nil)),
	}
	return h
}

// deliver makes the next certificate of alice the secret's current version.
func (h *host) deliver(t testing.TB, after time.Duration) map[string]any {
	t.Helper()
	value := h.ca.issue(t, alice, after)
	h.put(t, value, after)
	return value
}

func (h *host) want(t testing.TB, status int) {
	t.Helper()
	if got := h.round(t.Context()); got != status {
		t.Fatalf("status %d, want %d\n%s", got, status, h.said)
	}
}

func (h *host) read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// holds checks that the plain names have what a value says.
func (h *host) holds(t testing.TB, value map[string]any) {
	t.Helper()
	if h.read(t, "cert.pem") != value["cert_pem"] || h.read(t, "key.pem") != value["key_pem"] ||
		strings.TrimSpace(h.read(t, "dpop.jwk")) != string(value["dpop_jwk"].(json.RawMessage)) {
		t.Errorf("the directory holds something else than the delivery\n%s", h.said)
	}
}

// tree lists every name below the directory, with type, mode, and where a link leads.
func (h *host) tree(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(h.dir, path)
		to, _ := os.Readlink(path)
		all[name] = fmt.Sprint(info.Mode(), " ", to, " ", info.ModTime().UnixNano())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sets counts the sets of files.
func (h *host) sets(t testing.TB) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.dir, setPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}
