package inmemory

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

const auditKey = "audit-key"

// environment is what a function finds in its environment.
var environment = map[string]string{
	"MASTIO_ORG_ID": OrgID, "MASTIO_TRUST_DOMAIN": TrustDomain, "MASTIO_SPIFFE_TRUST_DOMAINS": ForeignDomain,
	"MASTIO_ADMIN_SECRET_ID":   "admin-secret",
	"MASTIO_TRUSTSTORE_BUCKET": "truststore", "MASTIO_TRUSTSTORE_KEY": "truststore.pem", "MASTIO_TOKEN_KEK": "token-kek",
	"MASTIO_AUDIT_BUCKET": "audit",
	"MASTIO_AUDIT_KEY":    auditKey, "MASTIO_AGENT_SECRETS_KEY": "agent-secrets",
	"MASTIO_ROTATECA_FUNCTION": "rotateca:live", "MASTIO_REISSUE_PACE": "0",
}

// settings are the environment's.
func (m *Mastio) settings() boot.Config {
	given := maps.Clone(environment)
	given["MASTIO_ISSUER"] = m.url
	c, err := boot.Environment(func(name string) string { return given[name] })
	if err != nil {
		panic(err) // the environment is a constant
	}
	c.Version = "test"
	return c
}

// Services are the Mastio's, as a process with this clock reaches them.
func (m *Mastio) Services(now func() time.Time) *boot.Services {
	return &boot.Services{
		Store:        m.Store,
		Keys:         keyStore{m.Keys, m},
		Vault:        m.Keys,
		Objects:      m.Objects,
		Domain:       truststore.NoDomain{},
		Secret:       m.secret(now),
		MetricsToken: secrets.New(m.Admins, metricsToken, now),
		AgentSecrets: m.Secrets,
		Archive:      m.Archive,
		Functions:    m,
	}
}

// keyStore has the Org CA's keys and the one that signs checkpoints.
type keyStore struct {
	*Keys
	m *Mastio
}

// Public returns the public half of the audit key.
func (k keyStore) Public(_ context.Context, id string) (crypto.PublicKey, error) {
	if id != auditKey {
		return nil, errors.New("nobody asks for the public half of " + id)
	}
	return k.m.AuditKey.Signer.Public(), nil
}

// Signer returns a key as a signer.
func (k keyStore) Signer(ctx context.Context, id string, pub crypto.PublicKey) crypto.Signer {
	if id == auditKey {
		return k.m.AuditKey.Signer
	}
	return k.Keys.Signer(ctx, id, pub)
}

// AdminSecret is a secret with one version, which is named for its label.
type AdminSecret struct{}

func (m *Mastio) secret(now func() time.Time) *secrets.Admins {
	return &secrets.Admins{
		Secret: secrets.New(AdminSecret{}, "admin-secret", now),
		Named:  secrets.NewDirectory(m.Admins, adminPrefix, now, slog.New(slog.DiscardHandler)),
	}
}

// GetSecretValue answers as Secrets Manager does.
func (AdminSecret) GetSecretValue(
	_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	if aws.ToString(in.VersionStage) != string(secrets.Current) {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{
		SecretString: aws.String(Secret),
		VersionId:    aws.String(string(secrets.Current)),
	}, nil
}

// Admin accepts the one secret.
func Admin(_ context.Context, shown string) (admin.Admin, bool, error) {
	return admin.Holder(string(secrets.Current)), shown == Secret, nil
}

// Invoke passes the dashboard's orders on to a new instance of the function rotateca, as Lambda does.
func (m *Mastio) Invoke(
	ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options),
) (*lambda.InvokeOutput, error) {
	handler, err := boot.RotateCA(m.Parts)
	if err != nil {
		return nil, err
	}
	answer, err := handler.(func(context.Context, json.RawMessage) (any, error))(ctx, bytes.Clone(in.Payload))
	if err != nil {
		failed := &lambda.InvokeOutput{FunctionError: aws.String("Unhandled")}
		return failed, nil //nolint:nilerr // Lambda reports a function's error so
	}
	payload, err := json.Marshal(answer)
	return &lambda.InvokeOutput{Payload: payload}, err
}

// Objects is a truststore object in memory.
type Objects struct {
	// Fault, if set, is asked before a replacement and after it.
	Fault func(after bool) error

	mu      sync.Mutex
	present truststore.Object
}

// Read returns the object.
func (o *Objects) Read(context.Context) (truststore.Object, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.present, nil
}

// Replace writes the object iff it still has the ETag.
func (o *Objects) Replace(_ context.Context, pem []byte, old string) (string, error) {
	if o.Fault != nil {
		if err := o.Fault(false); err != nil {
			return "", err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.present.ETag != old {
		return "", truststore.ErrChanged
	}
	number, _ := strconv.Atoi(old)
	next := strconv.Itoa(number + 1)
	o.present = truststore.Object{PEM: pem, ETag: next, Version: next}
	if o.Fault != nil {
		return next, o.Fault(true)
	}
	return next, nil
}
