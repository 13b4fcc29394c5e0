package secrets_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mastio-aws/mastio/localstack/aws/secrets"
)

func serve(t *testing.T, cfg secrets.Config) *secretsmanager.Client {
	t.Helper()
	s, err := secrets.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return secretsmanager.New(secretsmanager.Options{
		Region:       "us-east-1",
		BaseEndpoint: &web.URL,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

func token(c string) *string { return aws.String(strings.Repeat(c, 32)) }

func create(t *testing.T, c *secretsmanager.Client, name, value string) {
	t.Helper()
	in := &secretsmanager.CreateSecretInput{Name: &name, ClientRequestToken: token("1")}
	if value != "" {
		in.SecretString = &value
	}
	if _, err := c.CreateSecret(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, c *secretsmanager.Client, id string, tok *string, value string, stages ...string) {
	t.Helper()
	_, err := c.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId:           &id,
		ClientRequestToken: tok,
		SecretString:       &value,
		VersionStages:      stages,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// value reads what a label stands for; "" means that nothing has it.
func value(t *testing.T, c *secretsmanager.Client, id, stage string) string {
	t.Helper()
	out, err := c.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &stage})
	if code(err) == "ResourceNotFoundException" {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.SecretString)
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func TestStages(t *testing.T) {
	type state struct{ Current, Previous, Pending string }
	tests := []struct {
		name string
		do   func(*testing.T, *secretsmanager.Client)
		want state
	}{
		{"created", func(t *testing.T, c *secretsmanager.Client) {}, state{Current: "v1"}},
		{"put moves both labels", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2")
		}, state{Current: "v2", Previous: "v1"}},
		{"put twice forgets the first", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2")
			put(t, c, "admin", token("3"), "v3")
		}, state{Current: "v3", Previous: "v2"}},
		{"the same put again changes nothing", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2")
			put(t, c, "admin", token("2"), "v2")
		}, state{Current: "v2", Previous: "v1"}},
		{"a retry after a later put moves nothing back", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2")
			put(t, c, "admin", token("3"), "v3")
			put(t, c, "admin", token("2"), "v2")
		}, state{Current: "v3", Previous: "v2"}},
		{"a label of one's own leaves the current one", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2", "AWSPENDING")
		}, state{Current: "v1", Pending: "v2"}},
		{"moving the current label", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2", "AWSPENDING")
			move(t, c, "AWSCURRENT", token("2"), token("1"))
		}, state{Current: "v2", Previous: "v1", Pending: "v2"}},
		{"moving it back swaps the two", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2")
			move(t, c, "AWSCURRENT", token("1"), token("2"))
		}, state{Current: "v1", Previous: "v2"}},
		{"taking the previous one away", func(t *testing.T, c *secretsmanager.Client) {
			put(t, c, "admin", token("2"), "v2")
			move(t, c, "AWSPREVIOUS", nil, token("1"))
		}, state{Current: "v2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, secrets.Config{})
			create(t, c, "admin", "v1")
			tt.do(t, c)
			got := state{value(t, c, "admin", "AWSCURRENT"), value(t, c, "admin", "AWSPREVIOUS"),
				value(t, c, "admin", "AWSPENDING")}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func move(t *testing.T, c *secretsmanager.Client, stage string, to, from *string) {
	t.Helper()
	_, err := c.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:            aws.String("admin"),
		VersionStage:        &stage,
		MoveToVersionId:     to,
		RemoveFromVersionId: from,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestErrors(t *testing.T) {
	c := serve(t, secrets.Config{})
	create(t, c, "admin", "v1")
	create(t, c, "empty", "")
	put(t, c, "admin", token("2"), "v2")
	get := func(in secretsmanager.GetSecretValueInput) error {
		_, err := c.GetSecretValue(t.Context(), &in)
		return err
	}
	stage := func(label string, to, from *string) error {
		_, err := c.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
			SecretId:            aws.String("admin"),
			VersionStage:        &label,
			MoveToVersionId:     to,
			RemoveFromVersionId: from,
		})
		return err
	}
	putting := func(in secretsmanager.PutSecretValueInput) error {
		_, err := c.PutSecretValue(t.Context(), &in)
		return err
	}
	_, createdTwice := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name:         aws.String("admin"),
		SecretString: aws.String("other"),
	})
	_, badName := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name:         aws.String("a b"),
		SecretString: aws.String("x"),
	})
	_, unknown := c.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: aws.String("admin")})
	_, unsupported := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name:                        aws.String("x"),
		ForceOverwriteReplicaSecret: true,
	})
	id := aws.String("admin")
	tests := []struct {
		name string
		got  error
		want string
	}{
		{"no such secret", get(secretsmanager.GetSecretValueInput{SecretId: aws.String("nobody")}),
			"ResourceNotFoundException"},
		{"no value yet", get(secretsmanager.GetSecretValueInput{SecretId: aws.String("empty")}), "ResourceNotFoundException"},
		{"no such label", get(secretsmanager.GetSecretValueInput{
			SecretId:     id,
			VersionStage: aws.String("AWSPENDING"),
		}), "ResourceNotFoundException"},
		{"no such version", get(secretsmanager.GetSecretValueInput{
			SecretId:  id,
			VersionId: token("9"),
		}), "ResourceNotFoundException"},
		{"label of another version", get(secretsmanager.GetSecretValueInput{
			SecretId:     id,
			VersionId:    token("1"),
			VersionStage: aws.String("AWSCURRENT"),
		}), "InvalidRequestException"},
		{"created twice", createdTwice, "ResourceExistsException"},
		{"bad name", badName, "ValidationException"},
		{"token reused for another value", putting(secretsmanager.PutSecretValueInput{
			SecretId:           id,
			ClientRequestToken: token("2"),
			SecretString:       aws.String("z"),
		}), "ResourceExistsException"},
		{"token too short", putting(secretsmanager.PutSecretValueInput{
			SecretId:           id,
			ClientRequestToken: aws.String("short"),
			SecretString:       aws.String("z"),
		}), "InvalidParameterException"},
		{"no value", putting(secretsmanager.PutSecretValueInput{SecretId: id}), "InvalidRequestException"},
		{"two values", putting(secretsmanager.PutSecretValueInput{
			SecretId:     id,
			SecretString: aws.String("z"),
			SecretBinary: []byte("z"),
		}), "InvalidParameterException"},
		{"value too long", putting(secretsmanager.PutSecretValueInput{
			SecretId:     id,
			SecretString: aws.String(strings.Repeat("z", 65537)),
		}), "ValidationException"},
		{"empty label", putting(secretsmanager.PutSecretValueInput{
			SecretId:      id,
			SecretString:  aws.String("z"),
			VersionStages: []string{""},
		}), "InvalidParameterException"},
		{"current label taken away", stage("AWSCURRENT", nil, token("2")), "InvalidParameterException"},
		{"moved from the wrong version", stage("AWSCURRENT", token("1"), token("1")), "InvalidParameterException"},
		{"moved without saying from where", stage("AWSCURRENT", token("1"), nil), "InvalidParameterException"},
		{"moved to nowhere", stage("AWSCURRENT", token("9"), token("2")), "ResourceNotFoundException"},
		{"neither from nor to", stage("AWSCURRENT", nil, nil), "InvalidParameterException"},
		{"operation that is not there", unknown, "UnknownOperationException"},
		{"parameter that is not there", unsupported, "SerializationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := code(tt.got); got != tt.want {
				t.Errorf("got %q (%v), want %q", got, tt.got, tt.want)
			}
		})
	}
	if got := value(t, c, "admin", "AWSCURRENT"); got != "v2" {
		t.Errorf("after all refusals the value is %q, want v2", got)
	}
}

func TestIdentifiers(t *testing.T) {
	c := serve(t, secrets.Config{Region: "eu-south-1", Account: "123456789012"})
	out, err := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name:         aws.String("mastio/admin"),
		SecretBinary: []byte{0, 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:secretsmanager:eu-south-1:123456789012:secret:mastio/admin-"; !strings.HasPrefix(*out.ARN, want) {
		t.Errorf("ARN: got %s, want prefix %s", *out.ARN, want)
	}
	for _, id := range []string{"mastio/admin", *out.ARN, (*out.ARN)[:len(*out.ARN)-7]} {
		got, err := c.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if diff := cmp.Diff([]byte{0, 1}, got.SecretBinary); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

func TestDescribe(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := serve(t, secrets.Config{Now: func() time.Time { return now }})
	create(t, c, "admin", "v1")
	put(t, c, "admin", token("2"), "v2")
	put(t, c, "admin", token("3"), "v3", "AWSPENDING")
	got, err := c.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("admin")})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{*token("1"): {"AWSPREVIOUS"}, *token("2"): {"AWSCURRENT"}, *token("3"): {"AWSPENDING"}}
	if diff := cmp.Diff(want, got.VersionIdsToStages, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if !got.CreatedDate.Equal(now) {
		t.Errorf("created: got %v, want %v", got.CreatedDate, now)
	}
}

func TestSecretsSurvive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	c := serve(t, secrets.Config{Dir: dir})
	create(t, c, "admin", "v1")
	put(t, c, "admin", token("2"), "v2")

	again := serve(t, secrets.Config{Dir: dir})
	if got := value(t, again, "admin", "AWSCURRENT") + value(t, again, "admin", "AWSPREVIOUS"); got != "v2v1" {
		t.Errorf("current and previous after a restart: got %q, want v2v1", got)
	}
	info, err := os.Stat(filepath.Join(dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %o, want 600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files: got %v (%v), want the one", entries, err)
	}
}

func TestUnsavedChangeIsNotSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	c := serve(t, secrets.Config{Dir: dir})
	create(t, c, "admin", "v1")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, err := c.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId:     aws.String("admin"),
		SecretString: aws.String("v2"),
	},
		func(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} })
	if got := code(err); got != "InternalServiceError" {
		t.Errorf("put without a folder: got %q (%v), want InternalServiceError", got, err)
	}
	if got := value(t, c, "admin", "AWSCURRENT"); got != "v1" {
		t.Errorf("value: got %q, want v1", got)
	}
}

func TestDamagedFile(t *testing.T) {
	for _, content := range []string{"hunter2", `{"a":null}`, `{"a":{"Name":"b"}}`,
		`{"a":{"Name":"a","ARN":"arn:aws:x-abcdef","Versions":[null]}}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "secrets.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := secrets.New(secrets.Config{Dir: dir})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error that does not quote the file", content, err)
		}
	}
}

func TestConcurrentPuts(t *testing.T) {
	c := serve(t, secrets.Config{Dir: t.TempDir()})
	create(t, c, "admin", "v0")
	var group sync.WaitGroup
	for range 120 {
		group.Go(func() { put(t, c, "admin", nil, "v") })
	}
	group.Wait()
	got, err := c.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("admin")})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, stages := range got.VersionIdsToStages {
		for _, s := range stages {
			count[s]++
		}
	}
	if diff := cmp.Diff(map[string]int{"AWSCURRENT": 1, "AWSPREVIOUS": 1}, count); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func FuzzServeHTTP(f *testing.F) {
	for _, op := range []string{"CreateSecret", "GetSecretValue", "PutSecretValue", "DescribeSecret",
		"UpdateSecretVersionStage", "DeleteSecret", ""} {
		f.Add("secretsmanager."+op, `{"SecretId":"a","Name":"a","SecretString":"s"}`)
		f.Add("secretsmanager."+op, `{"SecretId":"a","VersionStage":"AWSCURRENT","MoveToVersionId":"b"}`)
	}
	f.Add("CreateSecret", "[]")
	f.Fuzz(func(t *testing.T, target, body string) {
		s, err := secrets.New(secrets.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header["X-Amz-Target"] = []string{target}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		res := w.Result()
		text, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK && !strings.Contains(string(text), `"__type"`) {
			t.Errorf("status %d without an error type: %s", res.StatusCode, text)
		}
		if res.StatusCode >= 500 {
			t.Errorf("status %d: %s", res.StatusCode, text)
		}
	})
}

// A deleted secret cannot be read, and its name can be used again.
func TestDelete(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]secrets.Config{"in memory": {}, "in a folder": {Dir: dir}} {
		c := serve(t, cfg)
		create(t, c, "mastio/admins/orga/alice", "one")
		create(t, c, "mastio/other", "two")
		list := func(prefix string) []string {
			t.Helper()
			out, err := c.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{
				Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{prefix}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range out.SecretList {
				names = append(names, aws.ToString(s.Name))
			}
			return names
		}
		if diff := cmp.Diff([]string{"mastio/admins/orga/alice"}, list("mastio/admins/")); diff != "" {
			t.Errorf("%s: listed (-want +got):\n%s", name, diff)
		}
		_, err := c.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{
			SecretId:                   aws.String("mastio/admins/orga/alice"),
			ForceDeleteWithoutRecovery: aws.Bool(true),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, c, "mastio/admins/orga/alice", "AWSCURRENT"); got != "" {
			t.Errorf("%s: it is still there: %q", name, got)
		}
		if got := value(t, c, "mastio/other", "AWSCURRENT"); got != "two" {
			t.Errorf("%s: the other one is %q", name, got)
		}
		if names := list("mastio/admins/"); len(names) != 0 {
			t.Errorf("%s: listed: %v", name, names)
		}
		create(t, c, "mastio/admins/orga/alice", "again")
	}
	again := serve(t, secrets.Config{Dir: dir})
	if got := value(t, again, "mastio/admins/orga/alice", "AWSCURRENT"); got != "again" {
		t.Errorf("after a restart it is %q", got)
	}
}
