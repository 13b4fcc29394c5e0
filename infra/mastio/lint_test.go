package mastio

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

// cfn-lint knows what CloudFormation will refuse. It is a program of Python's; where it is not installed, the CDK's own
// check of each template against the resources' schemas has to do.
func TestTemplatesPassCfnLint(t *testing.T) {
	program, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed: pip install cfn-lint")
	}
	for _, d := range []*deployment{&hardened, &traced, &trying} {
		paths, err := filepath.Glob(filepath.Join(d.out, "*.template.json"))
		if err != nil || len(paths) != 2 {
			t.Fatalf("%d templates, %v", len(paths), err)
		}
		// W3005: a DependsOn that a reference implies already, which the CDK writes all the time.
		out, err := exec.CommandContext(t.Context(), program,
			append([]string{"-i", "W3005", "-t"}, paths...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// After two confirmations the next removal of the data is final: for everything that holds a secret, and for nothing
// that proves the past.
func TestEraseData(t *testing.T) {
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(t.TempDir()), AnalyticsReporting: jsii.Bool(false)})
	stack := awscdk.NewStack(app, jsii.String("Erased"), &awscdk.StackProps{Env: &awscdk.Environment{
		Account: jsii.String("111111111111"),
		Region:  jsii.String("eu-central-1"),
	}})
	p := Defaults()
	p.OrgID, p.TrustDomain, p.EraseData = "acme", "acme.example", "acme"
	newData(stack, "Data", p.filled())
	resources, _ := (*assertions.Template_FromStack(stack, nil).ToJSON())["Resources"].(map[string]any)
	want := map[string]string{
		"AWS::DynamoDB::GlobalTable": "Delete", "AWS::KMS::Key": "Delete", "AWS::SecretsManager::Secret": "Delete",
		"AWS::S3::Bucket": "RetainExceptOnCreate", "AWS::Backup::BackupVault": "RetainExceptOnCreate",
	}
	seen := map[string]bool{}
	for id, r := range resources {
		kind := spell(at(r, "Type"))
		if policy, ok := want[kind]; ok {
			seen[kind] = true
			if got := at(r, "DeletionPolicy"); got != policy {
				t.Errorf("%s: %v, want %s", id, got, policy)
			}
		}
		if kind == "AWS::DynamoDB::GlobalTable" && at(r, "Properties", "Replicas", 0, "DeletionProtectionEnabled") == true {
			t.Errorf("%s cannot be deleted", id)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("saw %v", seen)
	}
}
