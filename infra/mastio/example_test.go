package mastio_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/infra/mastio"
)

func ExampleNew() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Platform"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("111111111111"), Region: jsii.String("eu-central-1")},
	})
	m := mastio.New(stack, "Mastio", mastio.Props{
		OrgID:       "acme",
		TrustDomain: "acme.example",
		AlarmEmail:  "oncall@acme.example",
		Agents: &mastio.Domain{
			Name:           "agents.acme.example",
			CertificateARN: "arn:aws:acm:eu-central-1:111111111111:certificate/1",
		},
		Operators: &mastio.Domain{
			Name:           "mastio.acme.example",
			CertificateARN: "arn:aws:acm:eu-central-1:111111111111:certificate/2",
		},
	})
	// Every resource is a field: add an alarm of your own on the token function, for example.
	_ = m.Service.Functions["token"].Alias.MetricDuration(nil)
	app.Synth(nil)
}
