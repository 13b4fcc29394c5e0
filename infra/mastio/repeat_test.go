package mastio

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// What a failed deployment has made goes with it, or the next one could not make it again: Lambda publishes no second
// version of the same code, and a name is taken once. What is an account's stays.
func TestAFailedDeploymentCanBeRepeated(t *testing.T) {
	accounts := []string{"AWS::ApiGateway::Account", "AWS::IAM::Role"}
	each(t, func(t *testing.T, d *deployment) {
		kept := 0
		for _, r := range d.resources {
			switch {
			case r.DeletionPolicy == "Retain" && !slices.Contains(accounts, r.Type):
				t.Errorf("%s %s would stay behind", r.Type, r.id)
			case r.DeletionPolicy == "RetainExceptOnCreate":
				kept++
			}
		}
		if want := 20; kept < want {
			t.Errorf("%d resources are kept, want %d at least", kept, want)
		}
		for _, secret := range d.all("AWS::SecretsManager::Secret") {
			if name := secret.Properties["Name"]; name != nil {
				t.Errorf("%s has the name %v, which stays taken while it waits for its deletion", secret.id, name)
			}
		}
	})
}

// A value that one stack exports cannot change while another one imports it, so settings could not be changed back.
func TestStacksExportNothing(t *testing.T) {
	for _, d := range []*deployment{&hardened, &traced, &trying} {
		for id, o := range d.outputs {
			if at(o, "Export") != nil {
				t.Errorf("%s is exported", id)
			}
		}
		for _, r := range d.resources {
			if strings.Contains(spell(r.Properties), "Fn::ImportValue") {
				t.Errorf("%s imports a value", r.id)
			}
		}
	}
}

// What README shows for an app of one's own can be deployed into an account in which API Gateway has never logged.
func TestTheExampleMakesTheAccountsLogRole(t *testing.T) {
	var d deployment
	d.out = filepath.Join(t.TempDir(), "cdk.out")
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: &d.out, AnalyticsReporting: jsii.Bool(false)})
	stack := awscdk.NewStack(app, jsii.String("Mastio"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("111111111111"), Region: jsii.String("eu-central-1")},
	})
	dir := t.TempDir()
	if err := fakeFunctions(dir); err != nil {
		t.Fatal(err)
	}
	New(stack, "Mastio", Props{OrgID: "acme", TrustDomain: "acme.example", BuildDir: dir})
	app.Synth(nil)
	if err := d.readStacks("Mastio"); err != nil {
		t.Fatal(err)
	}
	if n := len(d.all("AWS::ApiGateway::Account")); n != 1 {
		t.Errorf("%d resources AWS::ApiGateway::Account, want 1", n)
	}
	for _, role := range d.all("AWS::IAM::Role") {
		if strings.Contains(role.id, "ApiGatewayLogging") && role.DeletionPolicy != "Retain" {
			t.Errorf("%s goes with the stack, and the account's setting stays", role.id)
		}
	}
}

// Nothing of a first deployment refuses to be deleted: CloudFormation could not roll it back, and the CDK could not
// replace what it left. The deployment after it protects all of it.
func TestAFirstDeploymentCanBeTakenBack(t *testing.T) {
	var first deployment
	if err := first.synthesise(filepath.Join(t.TempDir(), "first"), Props{
		OrgID:       "acme",
		TrustDomain: "acme.example",
		First:       true,
	}); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[*deployment]bool{&first: false, &trying: true} {
		if got := *awscdk.Stack_Of(d.mastio.Data.Scope).TerminationProtection(); got != want {
			t.Errorf("the stack is protected: %t, want %t", got, want)
		}
		tables := d.all("AWS::DynamoDB::GlobalTable")
		for _, table := range tables {
			if got := at(table.Properties, "Replicas", 0, "DeletionProtectionEnabled"); got != want {
				t.Errorf("%s is protected: %v, want %t", table.id, got, want)
			}
			if table.DeletionPolicy != "RetainExceptOnCreate" {
				t.Errorf("%s: %s", table.id, table.DeletionPolicy)
			}
		}
		if len(tables) < 5 {
			t.Errorf("%d tables", len(tables))
		}
	}
}
