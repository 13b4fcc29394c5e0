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
