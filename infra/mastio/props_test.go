package mastio

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/google/go-cmp/cmp"
)

func fromContext(values map[string]any) (Props, error) {
	context := map[string]any{"orgId": "acme", "trustDomain": "acme.example", "@aws-cdk/core:checkSecretUsage": true,
		"availability-zones:account=1": "x"}
	maps.Copy(context, values)
	return FromContext(awscdk.NewApp(&awscdk.AppProps{Context: &context}).Node())
}

func TestContext(t *testing.T) {
	const certificate = "arn:aws:acm:eu-central-1:111111111111:certificate/0a"
	with := func(change func(*Props)) Props {
		p := Defaults()
		p.OrgID, p.TrustDomain = "acme", "acme.example"
		change(&p)
		return p.filled()
	}
	for name, c := range map[string]struct {
		context map[string]any
		want    Props
	}{
		"the least": {nil, with(func(*Props) {})},
		"empty": {map[string]any{"strictPki": "", "firstCa": "", "agentsDomain": "", "standbyMinutes": "",
			"alarmEmail": ""}, with(func(*Props) {})},
		"from the command line": {map[string]any{"strictPki": "true", "standbyMinutes": "5",
			"allowedSources": "192.0.2.0/24, 2001:db8::/32"}, with(func(p *Props) {
			p.StrictPKI, p.StandbyMinutes, p.AllowedSources = true, 5, []string{"192.0.2.0/24", "2001:db8::/32"}
		})},
		"from cdk.json": {map[string]any{"strictPki": true, "standbyMinutes": 5, "sharedAccountLogging": true},
			with(func(p *Props) { p.StrictPKI, p.StandbyMinutes, p.SharedAccountLogging = true, 5, true })},
		"as proxy.env": {map[string]any{"strictPki": "1", "autoMigrate": "0"}, with(func(p *Props) { p.StrictPKI = true })},
		"domains": {map[string]any{"agentsDomain": "a.acme.example", "agentsCertificate": certificate,
			"operatorsDomain": "o.acme.example", "operatorsCertificate": certificate}, with(func(p *Props) {
			p.Agents, p.Operators = &Domain{
				Name:           "a.acme.example",
				CertificateARN: certificate,
			}, &Domain{Name: "o.acme.example", CertificateARN: certificate}
		})},
		"LocalStack": {map[string]any{"target": "localstack", "architecture": "x86_64", "issuer": "https://localhost:9443"},
			with(func(p *Props) {
				p.Target, p.Architecture, p.Issuer = LocalStack, X86, "https://localhost:9443"
			})},
	} {
		got, err := fromContext(c.context)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// What is wrong is named, with what it takes instead.
func TestContextIsRefused(t *testing.T) {
	for _, c := range []struct {
		context map[string]any
		says    string
	}{
		{map[string]any{"orgId": ""}, "orgId is \"\": set it to"},
		{map[string]any{"orgId": "Acme"}, "orgId"}, {map[string]any{"orgId": "a_b"}, "orgId"},
		{map[string]any{"orgId": "-a"}, "orgId"}, {map[string]any{"orgId": "a-"}, "orgId"},
		{map[string]any{"orgId": strings.Repeat("a", 33)}, "orgId"}, {map[string]any{"orgId": "a*"}, "orgId"},
		{map[string]any{"trustDomain": "localhost"}, "trustDomain"},
		{map[string]any{"trustDomain": "https://acme.example"}, "trustDomain"},
		{map[string]any{"trustDomain": "ACME.example"}, "trustDomain"},
		{map[string]any{"agentsDomain": "a.acme.example"}, "agentsCertificate is \"\": set it to the ARN"},
		{map[string]any{"agentsCertificate": "arn:aws:acm:eu-central-1:111111111111:certificate/0a"}, "agentsDomain"},
		{map[string]any{"operatorsDomain": "o.acme.example", "operatorsCertificate": "arn:aws:iam::111111111111:role/x"},
			"operatorsCertificate"},
		{map[string]any{
			"agentsDomain": "a.acme.example", "agentsCertificate": "arn:aws:acm:eu-central-1:111111111111:certificate/0a",
			"operatorsDomain": "a.acme.example", "operatorsCertificate": "arn:aws:acm:eu-central-1:111111111111:certificate/0a",
		}, "take two names"},
		{map[string]any{"hostedZone": "acme.example"}, "as aws route53 list-hosted-zones prints it"},
		{map[string]any{"hostedZone": "Z1"}, "there is nothing to point there"},
		{map[string]any{"issuer": "http://acme.example"}, "issuer"},
		{map[string]any{"issuer": "https://acme.example?x"}, "issuer"},
		{map[string]any{"alarmEmail": "nobody"}, "alarmEmail"},
		{map[string]any{"allowedSources": "192.0.2.1"}, "allowedSources"},
		{map[string]any{"tokenSigner": "hsm"}, "tokenSigner is \"hsm\": set it to epoch or kms"},
		{map[string]any{"firstCa": "upload"}, "firstCa"},
		{map[string]any{"archiveLock": "COMPLIANCE"}, "archiveLock is \"COMPLIANCE\": set it to governance or compliance"},
		{map[string]any{"archiveLock": "compliance", "target": "localstack"}, "LocalStack keeps nothing for years"},
		{map[string]any{"target": "azure"}, "target"}, {map[string]any{"architecture": "arm"}, "architecture"},
		{map[string]any{"renewOverlapSeconds": "59"}, "renewOverlapSeconds"},
		{map[string]any{"tokenTtlSeconds": "59"}, "tokenTtlSeconds"},
		{map[string]any{"tokenTtlSeconds": "3601"}, "tokenTtlSeconds"},
		{map[string]any{"certMaxAgeDays": "826"}, "certMaxAgeDays"},
		{map[string]any{"certMaxAgeDays": "30"}, "certRenewBeforeDays"},
		{map[string]any{"certRenewBeforeDays": "-1"}, "certRenewBeforeDays"},
		{map[string]any{"spiffeTrustDomains": "a.example,B"}, "spiffeTrustDomains"},
		{map[string]any{"standbyMinutes": "0"}, "standbyMinutes"}, {map[string]any{"standbyMinutes": "soon"}, "whole number"},
		{map[string]any{"logRetentionDays": "31"}, "logRetentionDays"},
		{map[string]any{"strictPki": "yes"}, "strictPki is \"yes\": set it to true or false"},
		{map[string]any{"strictPKI": "true"}, "strictPKI is no setting"},
		{map[string]any{"strict_pki": "true"}, "strict_pki is no setting"},
		{map[string]any{"tablePrefix": "a b"}, "tablePrefix"}, {map[string]any{"eraseData": "true"}, "eraseData"},
		{map[string]any{"eraseData": "other"}, "eraseData"},
	} {
		got, err := fromContext(c.context)
		if !errors.Is(err, ErrProps) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %+v, %v; want %q", c.context, got, err, c.says)
		}
	}
}

// One look mends all of it.
func TestContextNamesEverythingThatIsWrong(t *testing.T) {
	_, err := fromContext(map[string]any{"orgId": "A", "trustDomain": "b", "tokenSigner": "c", "standbyMinutes": "99"})
	for _, name := range []string{"orgId", "trustDomain", "tokenSigner", "standbyMinutes"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

func TestNewPanicsOnWrongSettings(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, ErrProps) {
			t.Errorf("recovered %v, want ErrProps", err)
		}
	}()
	New(awscdk.NewStack(awscdk.NewApp(nil), nil, nil), "Mastio", Props{OrgID: "A"})
}

// An error names each missing build output and the command that builds it.
func TestFunctionsThatAreNotBuilt(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, ErrProps) || !strings.Contains(err.Error(), "make build") {
			t.Errorf("recovered %v", err)
		}
	}()
	stack := awscdk.NewStack(awscdk.NewApp(nil), nil, &awscdk.StackProps{Env: &awscdk.Environment{
		Account: str("111111111111"),
		Region:  str("eu-central-1"),
	}})
	New(stack, "Mastio", Props{OrgID: "acme", TrustDomain: "acme.example", BuildDir: t.TempDir()})
}
