package mastio

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// With logKey every log group and the topic are under one key, which the services use for this installation only.
// Without it, none is.
func TestLogKey(t *testing.T) {
	for _, d := range []*deployment{&hardened, &trying} {
		for _, r := range append(d.all("AWS::Logs::LogGroup"), d.all("AWS::SNS::Topic")...) {
			if r.Properties["KmsKeyId"] != nil || r.Properties["KmsMasterKeyId"] != nil {
				t.Errorf("%s has a key that the settings do not ask for", r.id)
			}
		}
	}
	var d deployment
	p := everything()
	p.LogKey = true
	if err := d.synthesise(filepath.Join(t.TempDir(), "logkey"), p); err != nil {
		t.Fatal(err)
	}
	var key resource
	for _, k := range d.all("AWS::KMS::Key") {
		if strings.Contains(k.id, "LogKey") {
			key = k
		}
	}
	if key.Properties["EnableKeyRotation"] != true || key.DeletionPolicy != "RetainExceptOnCreate" {
		t.Fatalf("the key of the logs: %+v", key)
	}
	groups := d.all("AWS::Logs::LogGroup")
	if len(groups) < 10 || len(d.all("AWS::SNS::Topic")) != 1 {
		t.Fatalf("%d log groups, %d topics", len(groups), len(d.all("AWS::SNS::Topic")))
	}
	under := map[string]any{"Fn::GetAtt": []any{key.id, "Arn"}}
	for _, g := range groups {
		if diff := cmp.Diff(any(under), g.Properties["KmsKeyId"]); diff != "" {
			t.Errorf("%s is not under the key: %s", g.id, diff)
		}
	}
	for _, topic := range d.all("AWS::SNS::Topic") {
		if topic.Properties["KmsMasterKeyId"] == nil {
			t.Error("the topic is not under the key")
		}
	}
	statementsOfLogKey(t, key)
}

// statementsOfLogKey checks who may use the key, besides the account's own administrators.
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
		condition, _ := s["Condition"].(map[string]any)
		like, _ := condition["ArnLike"].(map[string]any)
		if len(like) != 1 {
			t.Errorf("%s: anybody's resources may use the key: %v", sid, condition)
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
