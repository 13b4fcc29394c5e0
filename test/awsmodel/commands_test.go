package awsmodel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each command has one thing that the CLI or the service would refuse, and what is said of it; an empty text: nothing.
func TestCommands(t *testing.T) {
	needsPython(t)
	const arn = "arn:aws:acm:eu-central-1:111111111111:certificate/1"
	tests := []struct{ script, want string }{
		{"aws sts get-caller-identity", ""},
		{"aws stss get-caller-identity", "no such service"},
		{"aws s3 get-object", "no such service"},
		{"aws s3api list-buckets", ""},
		{"aws sts get-caller-id", "no such operation"},
		{"aws sts", "no operation"},
		{"aws sts get-caller-identity --account 1", "has no --account"},
		{"aws sts get-caller-identity --output xml", "'xml' is not one of json"},
		{"aws sts get-caller-identity --output", "0 values, want 1"},
		{"aws sts get-caller-identity now", "takes no now"},
		{"aws acm request-certificate --validation-method DNS", "lacks --domain-name"},
		{"aws acm request-certificate --domain-name a.example --validation-method HTML", "is not one of ValidationMethod"},
		{"aws acm request-certificate --domain-name 'a b' --validation-method DNS", "does not match DomainNameString"},
		{`aws acm request-certificate --domain-name "a b$X" --validation-method "$HOW"`, ""},
		{"aws acm describe-certificate --certificate-arn " + arn + " --query Certificate.DomainValidationOption",
			"CertificateDetail has no member DomainValidationOption"},
		{"aws acm describe-certificate --certificate-arn " + arn + " --query 'Certificate.['", "--query"},
		{"aws acm wait certificate-validated --certificate-arn " + arn, ""},
		{"aws acm wait certificate-valid --certificate-arn " + arn, "no such operation"},
		{"aws acm wait certificate-validated", "lacks --certificate-arn"},
		{`aws cloudformation describe-stacks --query "Stacks[0].Outputs[?contains(Key, 'a')].OutputValue"`,
			"Output has no member Key"},
		{`aws cloudformation describe-stacks --query 'Stacks[].Outputs[].[OutputValue,Name]' --max-items 1`,
			"Output has no member Name"},
		{"aws dynamodb update-table --table-name mastio --no-deletion-protection-enabled", ""},
		{"aws dynamodb update-table --table-name mastio --deletion-protection-enabled false", "1 values, want 0"},
		{"aws dynamodb scan --table-name ab --table-name cd", "--table-name twice"},
		{"aws dynamodb scan --table-name abc --limit many", "is no number"},
		{"aws dynamodb scan --table-name abc --page-size 5", ""},
		{"aws sts get-caller-identity --page-size 5", "has no --page-size"},
		{"aws dynamodb create-backup --backup-name abc", "lacks --table-name"},
		{"aws kms create-key --tags TagKey=a,TagValue=b", ""},
		{"aws kms create-key --tags TagKey=a,TagValue=b,Key=c", "Tag has no member Key"},
		{`aws kms create-key --tags '[{"TagKey":"a"}]'`, "Tag lacks TagValue"},
		{"aws logs tail /aws/lambda/a --since 1h --follow", ""},
		{"aws logs tail /aws/lambda/a --since hour", "'hour', want"},
		{"aws logs tail --since 1h", "lacks its LogGroupName"},
		{"aws logs tail '/aws/lambda/a b'", "does not match LogGroupName"},
		{"aws logs tail /aws/lambda/a --filter a", "has no --filter"},
	}
	var all []Command
	for _, tt := range tests {
		found, err := Commands(tt.script, tt.script)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d commands, %v", tt.script, len(found), err)
		}
		all = append(all, found...)
	}
	found, looked, err := judgeCommands(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(looked)
	got := make([]string, len(tests))
	for _, f := range found {
		got[f.of] += f.text + "\n"
	}
	for i, tt := range tests {
		if n := strings.Count(got[i], "\n"); n > 1 || (tt.want == "") != (n == 0) || !strings.Contains(got[i], tt.want) {
			t.Errorf("%s: got %q, want %q", tt.script, got[i], tt.want)
		}
	}
}

// Commands are found wherever a shell would run them, and nowhere else.
func TestCommandsOfAScript(t *testing.T) {
	got, err := Commands("here", `# aws sts not-a-command
A="$(aws kms list-keys --query "Keys[?contains(KeyId, 'x')]")" # what for
for t in a b; do aws dynamodb scan --table-name "restored-$t" \
  --limit 1; done
echo "aws sts not-a-command" | aws sqs list-queues`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Command{
		{Where: "here", Words: []string{"kms", "list-keys", "--query", "Keys[?contains(KeyId, 'x')]"}},
		{Where: "here", Words: []string{"dynamodb", "scan", "--table-name", "restored-" + Unknown, "--limit", "1"}},
		{Where: "here", Words: []string{"sqs", "list-queues"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Commands("here", "if then"); err == nil {
		t.Error("a script that bash cannot read passes")
	}
}
