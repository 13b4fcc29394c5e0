// Command infra is the CDK app: it reads the settings from cdk.json and from -c name=value, and writes the templates.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/infra/mastio"
)

func main() {
	settings, err := proxyEnv("proxy.env")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Context: &settings})
	props, err := mastio.FromContext(app.Node())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := exampleLeft(props.OrgID, props.TrustDomain); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	props.First = isFirst(props)
	mastio.NewStacks(app, props, environment())
	app.Synth(nil)
	jsii.Close()
}

// isFirst reports whether the data stack is deployed for the first time. Without credentials there is no deployment.
// If CloudFormation does not answer, the existing data stays protected.
func isFirst(p mastio.Props) bool {
	if os.Getenv("CDK_DEFAULT_ACCOUNT") == "" || p.Target == mastio.LocalStack {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(*environment().Region))
	first := false
	if err == nil {
		first, err = firstDeployment(ctx, cfg, p.DataStack())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot see whether %s is there, so it is protected from deletion: %v\n", p.DataStack(), err)
	}
	return first
}

// environment is the account and region of the credentials at hand, as the CDK's command line found them. Without
// credentials a deployment is impossible, but templates can still be read and compared: they name a placeholder
// account.
func environment() *awscdk.Environment {
	account, region := os.Getenv("CDK_DEFAULT_ACCOUNT"), os.Getenv("CDK_DEFAULT_REGION")
	if account == "" {
		account = "111111111111"
	}
	if region == "" {
		region = "us-east-1"
	}
	return &awscdk.Environment{Account: &account, Region: &region}
}
