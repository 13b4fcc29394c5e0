package inmemory

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mastio-aws/mastio/shared/admin"
)

const (
	adminPrefix  = "mastio/admins/" + OrgID + "/"
	metricsToken = "metrics-token"
	// MetricsToken is what GET /metrics takes.
	MetricsToken = "metrics-token-of-the-tests-32-characters"
)

// Admins is Secrets Manager with the secrets of named admins, and the metrics token. It is safe for concurrent use.
type Admins struct {
	mu      sync.Mutex
	entries map[string]string
	puts    int
	calls   []string
}

// Put gives a named admin an entry, in a version of its own.
func (a *Admins) Put(name, entry string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries == nil {
		a.entries = map[string]string{}
	}
	a.puts++
	a.entries[adminPrefix+name] = entry
}

// Name gives a named admin a role, and an enroller its capabilities. It returns what the admin shows.
func (a *Admins) Name(name string, role admin.Role, capabilities ...string) string {
	secret := name + "-secret-of-the-tests-with-32-characters"
	entry, err := json.Marshal(admin.Entry{Secret: secret, Role: role, Capabilities: capabilities})
	if err != nil {
		panic(err) // the entry is text alone
	}
	a.Put(name, string(entry))
	return name + ":" + secret
}

// Delete deletes a named admin's entry.
func (a *Admins) Delete(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.entries, adminPrefix+name)
}

// Calls returns the names of the secrets that were read since the last time.
func (a *Admins) Calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := a.calls
	a.calls = nil
	return calls
}

// GetSecretValue answers as Secrets Manager does.
func (a *Admins) GetSecretValue(
	_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := aws.ToString(in.SecretId)
	a.calls = append(a.calls, id)
	value, ok := a.entries[id]
	if id == metricsToken {
		value, ok = MetricsToken, true
	}
	if !ok || aws.ToString(in.VersionStage) != "AWSCURRENT" {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{
		SecretString: &value,
		VersionId:    aws.String("version-" + strconv.Itoa(a.puts)),
	}, nil
}
