package mastio

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// With logKey every log group and the topic are under one key, which the services use for this installation only.
// Without it, none is.
func TestLogKey(t *testing.T) {
	for _, r := range append(trying.all("AWS::Logs::LogGroup"), trying.all("AWS::SNS::Topic")...) {
		if r.Properties["KmsKeyId"] != nil || r.Properties["KmsMasterKeyId"] != nil {
			t.Errorf("%s has a key that the settings do not ask for", r.id)
		}
	}
	d := &hardened
	key := d.one(t, "AWS::KMS::Key", "DataLogKey")
	if key.Properties["EnableKeyRotation"] != true || key.DeletionPolicy != "RetainExceptOnCreate" {
		t.Errorf("the key of the logs: %+v", key)
	}
	groups := d.all("AWS::Logs::LogGroup")
	if len(groups) < 10 || len(d.all("AWS::SNS::Topic")) != 1 {
		t.Fatalf("%d log groups, %d topics", len(groups), len(d.all("AWS::SNS::Topic")))
	}
	under := d.arn(map[string]any{"Fn::GetAtt": []any{key.id, "Arn"}})
	for _, g := range groups {
		if got := d.arn(g.Properties["KmsKeyId"]); got != under {
			t.Errorf("%s is under %s, want %s", g.id, got, under)
		}
	}
	for _, topic := range d.all("AWS::SNS::Topic") {
		if got := d.arn(topic.Properties["KmsMasterKeyId"]); got != under {
			t.Errorf("the topic is under %s, want %s", got, under)
		}
	}
	statementsOfLogKey(t, key)
}

// statementsOfLogKey checks who may use the key, apart from the account's own administrators.
func statementsOfLogKey(t *testing.T, key resource) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range key.Properties["KeyPolicy"].(map[string]any)["Statement"].([]any) {
		s := s.(map[string]any)
		sid, _ := s["Sid"].(string)
		if sid == "" {
			continue // the account's
		}
		seen[sid] = true
		of := at(s, "Condition", "StringLike", "kms:EncryptionContext:aws:logs:arn") // of CloudWatch Logs
		if of == nil {
			of = at(s, "Condition", "ArnLike", "aws:SourceArn")
		}
		foreign := func(arn string) bool { return !strings.Contains(arn, "acme") }
		if len(texts(of)) == 0 || slices.ContainsFunc(texts(of), foreign) {
			t.Errorf("%s: other resources than ours may use the key: %v", sid, s["Condition"])
		}
		for _, action := range s["Action"].([]any) {
			if strings.Contains(action.(string), "*") {
				t.Errorf("%s may %s", sid, action)
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{"LogsEncrypt": true, "AlarmsEncrypt": true}, seen); diff != "" {
		t.Error(diff)
	}
}
