package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// account is an AWS account by its recorded answers: by operation, or by method and path where the service has no name
// for it.
type account map[string]reply

type reply struct {
	status int
	body   string
}

const (
	number      = "111111111111"
	certificate = "arn:aws:acm:eu-central-1:111111111111:certificate/server"
	proof       = "arn:aws:acm:eu-central-1:111111111111:certificate/proof"
)

func missing(kind string) reply {
	return reply{http.StatusBadRequest, `{"__type":"` + kind + `","message":"there is none"}`}
}

func xml(status int, body string) reply { return reply{status, body} }

func issued(kind, status string, names ...string) reply {
	return reply{200,
		fmt.Sprintf(`{"Certificate":{"CertificateArn":"x","DomainName":%q,"SubjectAlternativeNames":["%s"],"Status":%q,"Type":%q,"NotAfter":4070908800}}`,
			names[0], strings.Join(names, `","`), status, kind)}
}

// ready is an account in which a first deployment works.
func ready() account {
	noStack := xml(400,
		`<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error></ErrorResponse>`)
	gone := reply{404, `{"message":"there is none"}`}
	return account{
		"GetCallerIdentity": xml(200,
			`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::`+number+`:user/op</Arn><Account>`+number+
				`</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`),
		"GetParameter":   {200, `{"Parameter":{"Name":"p","Value":"28"}}`},
		"DescribeStacks": noStack,
		"GET /2016-08-19/account-settings": {200,
			`{"AccountLimit":{"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":1000}}`},
		"GET /account":        {200, `{}`},
		"DescribeCertificate": issued("AMAZON_ISSUED", "ISSUED", "*.acme.example"),
		"DescribeTable":       missing("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"),
		"DescribeLogGroups": {200,
			`{"logGroups":[{"logGroupName":"/aws/lambda/mastio-acme-token-of-another"}]}`},
		"GetQueueUrl":                          missing("com.amazonaws.sqs#QueueDoesNotExist"),
		"DescribeEventBus":                     missing("ResourceNotFoundException"),
		"ListKeys":                             {200, `{"Keys":[],"Truncated":false}`},
		"GET /backup-vaults/mastio-acme-vault": {403, `{"__type":"AccessDeniedException","Message":"no"}`},
		"GET /2015-03-31/functions/mastio-acme-token/configuration": gone,
		"GET /domainnames/agents.acme.example":                      gone,
		"GET /2013-04-01/hostedzone/Z1": xml(200,
			`<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id><Name>acme.example.</Name><CallerReference>c</CallerReference></HostedZone></GetHostedZoneResponse>`),
		"GET /2013-04-01/hostedzone/Z1/rrset": xml(200,
			`<ListResourceRecordSetsResponse><ResourceRecordSets></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>`),
	}
}

func (a account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if form, err := url.ParseQuery(string(body)); op == "" && err == nil {
		op = form.Get("Action")
	}
	if op == "" {
		op = r.Method + " " + strings.TrimSuffix(r.URL.Path, "/")
	}
	answer, known := a[op+" "+string(body)]
	if !known {
		answer, known = a[op]
	}
	if !known {
		answer = reply{400, `{"__type":"NotRecorded","message":"` + op + `"}`}
	}
	if answer.status >= 400 && strings.HasPrefix(op, "GET ") {
		kind := "NotFoundException"
		if strings.HasPrefix(op, "GET /2015") {
			kind = "ResourceNotFoundException"
		}
		if answer.status == 404 {
			w.Header().Set("X-Amzn-Errortype", kind)
		}
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

// templates writes an assembly of one resource of each kind.
func templates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stack := func(name string) string {
		return fmt.Sprintf(`{"type":"aws:cloudformation:stack","environment":"aws://%s/eu-central-1","properties":{"templateFile":"%s.json","stackName":"mastio-acme-%[2]s",
			"requiresBootstrapStackVersion":6,"bootstrapStackVersionSsmParameter":"/cdk-bootstrap/hnb659fds/version"}}`, number, name)
	}
	write("manifest.json", `{"artifacts":{"Tree":{"type":"cdk:tree"},"MastioData":`+stack("data")+`,"Mastio":`+
		stack("service")+`}}`)
	write("data.json", `{"Resources":{
		"Table":{"Type":"AWS::DynamoDB::GlobalTable","Properties":{"TableName":"mastio-acme-registry"}},
		"Vault":{"Type":"AWS::Backup::BackupVault","Properties":{"BackupVaultName":"mastio-acme-vault"}}}}`)
	write("service.json", `{"Resources":{
		"Token":{"Type":"AWS::Lambda::Function","Properties":{"FunctionName":"mastio-acme-token","ReservedConcurrentExecutions":8,"Environment":{"Variables":{"MASTIO_FIRST_CA":"mint"}}}},
		"Log":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":"/aws/lambda/mastio-acme-token"}},
		"Queue":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"mastio-acme-failed-events"}},
		"Bus":{"Type":"AWS::Events::EventBus","Properties":{"Name":"mastio-acme-events"}},
		"Account":{"Type":"AWS::ApiGateway::Account","Properties":{}},
		"Domain":{"Type":"AWS::ApiGateway::DomainName","Properties":{"DomainName":"agents.acme.example","RegionalCertificateArn":"`+certificate+`",
			"OwnershipVerificationCertificateArn":"`+proof+`","MutualTlsAuthentication":{"TruststoreUri":{"Fn::Join":["",[]]}}}},
		"Record":{"Type":"AWS::Route53::RecordSet","Properties":{"HostedZoneId":"Z1","Name":"agents.acme.example."}}}}`)
	return dir
}

// inspect runs the command against an account.
func inspect(t *testing.T, a account, dir string) (status int, out string) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CA_BUNDLE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	var b, failed strings.Builder
	status = run(t.Context(), []string{"-templates", dir}, &b, &failed)
	return status, b.String() + failed.String()
}
