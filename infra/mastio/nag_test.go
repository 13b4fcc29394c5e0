package mastio

import (
	"encoding/csv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// lint has cdk-nag look at the stacks while they are synthesised; a finding that is not explained here fails that.
func lint(d *deployment) {
	awscdk.Aspects_Of(d.app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Verbose: jsii.Bool(true)}), nil)
	data, service := d.mastio.Data, d.mastio.Service
	agents := constructs.Construct(service.Agents.HTTP)
	if service.Agents.HTTP == nil {
		agents = service.Agents.Rest
		excuse(agents, "AwsSolutions-APIG3", "Agents are let in at the TLS handshake by their certificates; a firewall "+
			"would be paid for with every token. The operators' API has one.")
	}
	for _, api := range []constructs.Construct{agents, service.Operators} {
		excuse(api, "AwsSolutions-APIG4", "The functions authorise: by the admin secret, compared in constant time, or by "+
			"the client certificate's pin. A method's authoriser would be asked about headers, not about pins.")
		excuse(api, "AwsSolutions-COG4", "Callers are operators with the admin secret and agents with certificates; there "+
			"are no users for a pool.")
		excuse(api, "AwsSolutions-APIG6", "Execution logs can hold headers, and one of them is the admin secret. The "+
			"access log, the functions' log and the metrics are on.")
	}
	if !d.mastio.Service.props.SharedAccountLogging {
		excuse(service.Scope.Node().FindChild(jsii.String("ApiGatewayLogging")), "AwsSolutions-IAM4",
			"The role is for API Gateway's own account setting, which takes this policy and no narrower one.",
			"Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs")
	}
	excuse(data.AdminSecret, "AwsSolutions-SMG4", "Operators hold it in password managers and pipelines: only they can "+
		"tell when all have the new one. AWSPREVIOUS stays valid, so that they can rotate it without an outage.")
	excuse(data.MetricsToken, "AwsSolutions-SMG4", "Prometheus reads it out of a file: only its operators can tell when "+
		"the file has the new one. AWSPREVIOUS stays valid, as of the admin secret.")
	excuse(data.Truststore, "AwsSolutions-S1", "It holds certificates, which are public, in versions that are kept. Who "+
		"wrote one is in the audit chain and in CloudTrail.")
	excuse(data.Archive, "AwsSolutions-S1", "It holds signed checkpoints under object lock: the writer of an object "+
		"cannot change it, and the signature shows a change.")
	excuseBackups(data)
	for name, f := range service.Functions {
		for _, st := range service.statementsOf(name, f) {
			if reason, ok := wide[st.sid]; ok {
				excuse(f.Policy, "AwsSolutions-IAM5", st.sid+": "+reason)
				if f.Keys != nil {
					excuse(f.Keys, "AwsSolutions-IAM5", st.sid+": "+reason)
				}
			}
		}
	}
}

func excuseBackups(data *Data) {
	policy := data.Scope.Node().TryFindChild(jsii.String("BackupPolicy"))
	if policy == nil {
		return
	}
	excuse(policy, "AwsSolutions-IAM5", "A recovery point's ARN is known only once it is made; the tables are named.",
		"Resource::<DataTableregistry03B54A8A.Arn>/backup/*", "Resource::<DataTableauditEA72C9D6.Arn>/backup/*")
}

// excuse explains why a rule does not hold for a construct and what is below it.
func excuse(c constructs.IConstruct, rule, reason string, appliesTo ...string) {
	s := &cdknag.NagPackSuppression{Id: &rule, Reason: &reason}
	if appliesTo != nil {
		var to []any
		for _, a := range appliesTo {
			to = append(to, a)
		}
		s.AppliesTo = &to
	}
	cdknag.NagSuppressions_AddResourceSuppressions(c, &[]*cdknag.NagPackSuppression{s}, jsii.Bool(true))
}

// The report says for each rule and resource whether it holds. It is read back, so that a check that has stopped
// running does not pass for one that finds nothing.
func TestNag(t *testing.T) {
	for _, d := range []*deployment{&hardened, &traced, &trying} {
		counts := map[string]int{}
		for _, stack := range []string{"data", "service"} {
			for _, row := range nagReport(t, filepath.Join(d.out, "AwsSolutions--mastio-acme-"+stack+"-NagReport.csv")) {
				rule, resource, compliance, reason := row[0], row[1], row[2], row[3]
				counts[compliance]++
				switch compliance {
				case "Compliant", "N/A":
				case "Suppressed":
					if len(reason) < 40 {
						t.Errorf("%s at %s is suppressed for %q: say why", rule, resource, reason)
					}
				default:
					t.Errorf("%s at %s: %s", rule, resource, compliance)
				}
			}
		}
		t.Logf("cdk-nag AwsSolutions: %v", counts)
		if counts["Compliant"] < 30 || counts["Suppressed"] == 0 {
			t.Errorf("counts = %v: the check does not run", counts)
		}
	}
}

func nagReport(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[0]) < 4 {
		t.Fatalf("%s: %d rows, %v", path, len(rows), err)
	}
	return rows[1:]
}
