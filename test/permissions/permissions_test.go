package permissions

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/localstack/stack"
)

// target is the prefix of X-Amz-Target.
var target = map[string]string{stack.DynamoDB: "DynamoDB_20120810.", stack.KMS: "TrentService.",
	stack.SecretsManager: "secretsmanager."}

// TestWatch sends calls as functions would and looks at what is said of them.
func TestWatch(t *testing.T) {
	put := func(key string) string {
		return fmt.Sprintf(`{"TransactItems":[{"Put":{"TableName":"mastio-registry","Item":{"pk":{"S":%q},"sk":{"S":"#"},"version":{"N":"1"}}}}]}`, key)
	}
	both := func(keys ...string) string {
		var items []string
		for _, key := range keys {
			items = append(items, fmt.Sprintf(`{"Put":{"TableName":"mastio-registry","Item":{"pk":{"S":%q},"sk":{"S":"-"}}}}`,
				key))
		}
		return `{"TransactItems":[` + strings.Join(items, ",") + `]}`
	}
	create := func(spec, org string) string {
		return fmt.Sprintf(`{"KeySpec":%q,"KeyUsage":"SIGN_VERIFY","Tags":[{"TagKey":"mastio:org","TagValue":%q}]}`, spec,
			org)
	}
	for name, tt := range map[string]struct {
		function, service, op, body string
		refused                     int
	}{
		"an agent's record":             {"token", stack.DynamoDB, "TransactWriteItems", put("AGENT#orga::kyc"), 0},
		"the pointer, by the wrong one": {"token", stack.DynamoDB, "TransactWriteItems", put("ORG"), 1},
		"the pointer":                   {"rotateca", stack.DynamoDB, "TransactWriteItems", put("ORG"), 0},
		"the pointer, by the sealer":    {"checkpoint", stack.DynamoDB, "TransactWriteItems", put("ORG"), 1},
		"the end of the chain":          {"checkpoint", stack.DynamoDB, "TransactWriteItems", put("HEAD"), 0},
		"the end of the chain, and a seal": {"checkpoint", stack.DynamoDB, "TransactWriteItems", both("HEAD", "CHECKPOINT"),
			0},
		"an agent and an alias": {"enroll", stack.DynamoDB, "TransactWriteItems",
			both("AGENT#orga::kyc", "ALIAS#1"), 0},
		"an agent and a kept answer": {"rotatecert", stack.DynamoDB, "TransactWriteItems",
			both("AGENT#orga::kyc", "IDEM#1"), 0},
		"a seal and a kept answer": {"checkpoint", stack.DynamoDB, "TransactWriteItems",
			both("HEAD", "CHECKPOINT", "IDEM#1"), 0},
		"an answer outside of transactions": {"enroll", stack.DynamoDB, "PutItem",
			`{"TableName":"mastio-registry","Item":{"pk":{"S":"IDEM#1"}}}`, 1},
		"an answer, by an agent's function": {"renew", stack.DynamoDB, "TransactWriteItems", put("IDEM#1"), 1},
		"an agent, and the pointer with it": {"enroll", stack.DynamoDB, "TransactWriteItems", both("AGENT#orga::kyc", "ORG"),
			2},
		"a lease and a chain that moved": {"rotateca", stack.DynamoDB, "TransactWriteItems", `{"TransactItems":[` +
			`{"Update":{"TableName":"mastio-registry","Key":{"pk":{"S":"ORG"}}}},{"Update":{"TableName":"mastio-registry","Key":{"pk":{"S":"MOVED#1"}}}}]}`, 0},
		"a row outside of transactions": {"token", stack.DynamoDB, "PutItem",
			`{"TableName":"mastio-audit","Item":{"subject":{"S":"orga::kyc"}}}`, 1},
		"a check that IAM has a word for": {"token", stack.DynamoDB, "TransactWriteItems",
			`{"TransactItems":[{"ConditionCheck":{"TableName":"mastio-registry","Key":{"pk":{"S":"AGENT#1"}}}}]}`, 1},
		"a query by an index": {"hygiene", stack.DynamoDB, "Query",
			`{"TableName":"mastio-registry","IndexName":"agents_by_due","KeyConditionExpression":"due_pk = :p"}`, 0},
		"a query of the refusals": {"healthz", stack.DynamoDB, "Query",
			`{"TableName":"mastio-audit","KeyConditionExpression":"#s = :s","ExpressionAttributeNames":{"#s":"subject"},"ExpressionAttributeValues":{":s":{"S":"orga/admin.login_refused"}}}`, 0},
		"a query of another chain": {"healthz", stack.DynamoDB, "Query",
			`{"TableName":"mastio-audit","KeyConditionExpression":"subject = :s","ExpressionAttributeValues":{":s":{"S":"orga"}}}`, 1},
		"a scan":                            {"audit", stack.DynamoDB, "Scan", `{"TableName":"mastio-audit"}`, 1},
		"a key of the Org CA":               {"rotateca", stack.KMS, "CreateKey", create("ECC_NIST_P256", "orga"), 0},
		"a key of the Org CA, by the pages": {"dashboard", stack.KMS, "CreateKey", create("ECC_NIST_P256", "orga"), 2},
		"a key of a spec that is denied":    {"rotateca", stack.KMS, "CreateKey", create("ECC_SECG_P256K1", "orga"), 2},
		"a key of another organisation":     {"rotateca", stack.KMS, "CreateKey", create("ECC_NIST_P256", "evil"), 2},
		"a short way to a key's end": {"standby", stack.KMS, "ScheduleKeyDeletion",
			`{"KeyId":"1","PendingWindowInDays":7}`, 1},
		"a long way to a key's end": {"standby", stack.KMS, "ScheduleKeyDeletion",
			`{"KeyId":"1","PendingWindowInDays":30}`, 0},
		"a signature of the Org CA": {"rotatecert", stack.KMS, "Sign",
			`{"KeyId":"1","SigningAlgorithm":"ECDSA_SHA_256","MessageType":"DIGEST"}`, 0},
		"a signature of a raw message": {"rotatecert", stack.KMS, "Sign",
			`{"KeyId":"1","SigningAlgorithm":"ECDSA_SHA_256","MessageType":"RAW"}`, 1},
		"the admin secret": {"rotatecert", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admin-secret","VersionStage":"AWSCURRENT"}`, 0},
		"the admin secret, any version": {"rotatecert", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admin-secret"}`, 1},
		"a named admin's secret": {"enroll", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admins/orga/alice","VersionStage":"AWSCURRENT"}`, 0},
		"a named admin's secret, the version before": {"enroll", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admins/orga/alice","VersionStage":"AWSPREVIOUS"}`, 1},
		"a named admin's secret, by an agent's": {"token", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admins/orga/alice","VersionStage":"AWSCURRENT"}`, 1},
		"a named admin's secret, before traffic": {"startup", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admins/orga/alice","VersionStage":"AWSCURRENT"}`, 1},
		"a named admin's secret, to write": {"enroll", stack.SecretsManager, "PutSecretValue",
			`{"SecretId":"mastio/admins/orga/alice"}`, 1},
		"the metrics token": {"healthz", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/metrics-token","VersionStage":"AWSCURRENT"}`, 0},
		"the metrics token, by the pages": {"dashboard", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/metrics-token","VersionStage":"AWSCURRENT"}`, 1},
		"the admin secret, by an agent's": {"token", stack.SecretsManager, "GetSecretValue",
			`{"SecretId":"mastio/admin-secret","VersionStage":"AWSCURRENT"}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := New()
			if err != nil {
				t.Fatal(err)
			}
			reached := false
			h := w.Wrap(tt.service, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = reached || strings.HasSuffix(r.Header.Get("X-Amz-Target"), tt.op)
			}))
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
			r.Header.Set("X-Amz-Target", target[tt.service]+tt.op)
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+stack.AccessKey+tt.function+
				"/20261125/us-east-1/x/aws4_request")
			h.ServeHTTP(httptest.NewRecorder(), r)
			refused, looked := w.Check()
			if !reached || looked == 0 || len(refused) != tt.refused {
				t.Errorf("reached %v, looked at %d, refused %d, want %d: %s", reached, looked, len(refused), tt.refused,
					strings.Join(refused, "\n"))
			}
		})
	}
}
