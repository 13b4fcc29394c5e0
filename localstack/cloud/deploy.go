package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/routes"
)

func (c *cloud) deploymentFile() string { return filepath.Join(c.dir, "deployment.json") }

// deploy puts the CDK app on the LocalStack that runs. Doing it again brings a change there.
func (c *cloud) deploy(ctx context.Context) error {
	r, err := c.found(ctx)
	if err != nil {
		return err
	}
	tool, err := c.cdk()
	if err != nil {
		return err
	}
	functions, err := c.buildFunctions(ctx)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.dir, "deploy.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	outputs, err := c.cdkDeploy(ctx, tool, r.Endpoint, functions, &events{log: log, out: c.out})
	if err != nil {
		return err
	}
	d, err := c.describe(ctx, r.Endpoint, outputs)
	if err != nil {
		return err
	}
	if err := c.beforeTraffic(ctx, d); err != nil {
		return err
	}
	if err := d.Write(c.deploymentFile()); err != nil {
		return err
	}
	if err := c.startGateway(ctx); err != nil {
		return err
	}
	secrets, err := c.writeSecret(ctx, d)
	if err != nil {
		return err
	}
	c.say("deployed")
	fmt.Fprintf(c.out, tour, d.URL, d.CAFile, d.OperatorsURL, secrets, d.URL)
	return nil
}

// buildFunctions compiles the functions for this machine and lays them out as the CDK wants to pack them: files of
// their own, where the local run has links.
func (c *cloud) buildFunctions(ctx context.Context) (string, error) {
	c.say("building the functions")
	built, packed := filepath.Join(c.root, "build", "local"), filepath.Join(c.dir, "functions")
	if err := stack.Build(ctx, c.root, built); err != nil {
		return "", err
	}
	for _, name := range routes.Functions() {
		program, err := os.ReadFile(filepath.Join(built, name, "bootstrap"))
		if err != nil {
			return "", err
		}
		dir := filepath.Join(packed, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "bootstrap"), program,
			0o755); err != nil { //nolint:gosec // a program is executable
			return "", err
		}
	}
	return packed, nil
}

// cdkDeploy bootstraps and deploys, and returns the stacks' outputs.
func (c *cloud) cdkDeploy(
	ctx context.Context, tool cdk, endpoint, functions string, out io.Writer,
) (map[string]map[string]string, error) {
	c.say("cdklocal bootstrap")
	// Away from cdk.json: bootstrapping needs no app, and would otherwise run it once more.
	if err := tool.run(ctx, c.dir, endpoint, out, "bootstrap", bootstrapped); err != nil {
		return nil, err
	}
	c.say("cdklocal deploy")
	app := filepath.Join(c.dir, "cdk.out")
	if err := os.RemoveAll(app); err != nil { // the packed functions of earlier deploys would stay in it
		return nil, err
	}
	file := filepath.Join(c.dir, "outputs.json")
	args := []string{"deploy", "--all", "--require-approval", "never", "--progress", "events", "--method", "direct",
		"--output", app, "--outputs-file", file}
	if err := tool.run(ctx, c.root, endpoint, out, append(args, c.settings(functions)...)...); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var outputs map[string]map[string]string
	return outputs, json.Unmarshal(text, &outputs)
}

// apiID is in the URL that an API has on AWS; LocalStack serves it under a path of its own.
var apiID = regexp.MustCompile(`^https://([a-z0-9]+)\.execute-api\.[^/]+/([a-z]+)`)

// describe reads what was deployed: the operators' API from the outputs, the rest from the functions' environment.
func (c *cloud) describe(
	ctx context.Context, endpoint string, outputs map[string]map[string]string,
) (deployed.Mastio, error) {
	d := deployed.Mastio{Endpoint: endpoint, OrgID: c.org, URL: c.edgeURL(), CAFile: filepath.Join(c.dir, "ca.pem")}
	for _, stack := range outputs {
		for name, value := range stack {
			if m := apiID.FindStringSubmatch(value); m != nil && operatorsOutput.MatchString(name) {
				d.OperatorsURL = endpoint + "/_aws/execute-api/" + m[1] + "/" + m[2]
			}
		}
	}
	if d.OperatorsURL == "" {
		return d, fmt.Errorf("no output of the deployment names the operators' API: %v", outputs)
	}
	name := deployed.FunctionName(c.org, "standby")
	function, err := deployed.Connect(endpoint).Lambda.GetFunctionConfiguration(ctx,
		&awslambda.GetFunctionConfigurationInput{FunctionName: aws.String(name)})
	if err != nil {
		return d, fmt.Errorf("look at function %s: %w", name, err)
	}
	env := function.Environment.Variables
	d.TablePrefix, d.Bucket, d.TruststoreKey = env["MASTIO_TABLE_PREFIX"], env["MASTIO_TRUSTSTORE_BUCKET"],
		env["MASTIO_TRUSTSTORE_KEY"]
	d.AdminSecretID, d.MetricsTokenID = env["MASTIO_ADMIN_SECRET_ID"], env["MASTIO_METRICS_TOKEN_ID"]
	if d.Bucket == "" || d.TruststoreKey == "" || d.AdminSecretID == "" || d.MetricsTokenID == "" {
		return d, errors.New("function " + name + " has no truststore, admin secret or metrics token in its environment")
	}
	return d, nil
}

var operatorsOutput = regexp.MustCompile(`OperatorsURL`)

// writeSecret leaves the admin secret in a proxy.env, where the operator's guide looks for it, and the metrics token in
// a file next to it.
func (c *cloud) writeSecret(ctx context.Context, d deployed.Mastio) (string, error) {
	secret, err := deployed.Connect(d.Endpoint).AdminSecret(ctx, d.AdminSecretID)
	if err != nil {
		return "", err
	}
	token, err := deployed.Connect(d.Endpoint).AdminSecret(ctx, d.MetricsTokenID)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, "proxy.env")
	if err := writeAnew(path, "MCP_PROXY_ADMIN_SECRET="+secret+"\n"); err != nil {
		return "", err
	}
	return path, writeAnew(filepath.Join(c.dir, tokenFile), token)
}

// tokenFile is where Prometheus finds the metrics token.
const tokenFile = "metrics-token"

// writeAnew replaces a file, mode 0600: an old one's mode would stay.
func writeAnew(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// beforeTraffic invokes what a custom resource invokes on AWS, in the same order: LocalStack runs none of them.
func (c *cloud) beforeTraffic(ctx context.Context, d deployed.Mastio) error {
	clients := deployed.Connect(d.Endpoint)
	c.say("making the first Org CA, unless there is one")
	if err := c.firstCA(ctx, clients); err != nil {
		return fmt.Errorf("make the first Org CA: %w", err)
	}
	for _, name := range routes.Deployed() {
		c.say("running " + name)
		if _, err := clients.Run(ctx, c.org, name, []byte("{}")); err != nil {
			return err
		}
	}
	return nil
}

// firstTimeout covers a lease of 30 s that another run of the job holds, or held when it was killed.
const firstTimeout = 90 * time.Second

func (c *cloud) firstCA(ctx context.Context, clients deployed.Clients) error {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for {
		answer, err := clients.Run(ctx, c.org, "standby", []byte(deployed.Scheduled))
		var report struct{ Generation, Standby int64 }
		if err == nil {
			err = json.Unmarshal(answer, &report)
		}
		if err != nil {
			return err
		}
		if report.Generation > 0 {
			c.say(fmt.Sprintf("Org CA generation %d is current, %d stands by", report.Generation, report.Standby))
			return nil
		}
		c.say("waiting: another run of the job holds the lease")
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const tour = `
Deployed to LocalStack.

  agents and operators  %s (CA: %s)
  operators' own API    %s
  admin secret          in %s, as MCP_PROXY_ADMIN_SECRET
  metrics token         in the same folder, in the file metrics-token

Try it, in that folder:
  ADMIN_SECRET="$(grep ^MCP_PROXY_ADMIN_SECRET proxy.env | cut -d= -f2)"
  MASTIO="%s"
  curl -sk "$MASTIO/healthz" | jq .
  curl -sk -X POST -H "X-Admin-Secret: $ADMIN_SECRET" -H 'Content-Type: application/json' -d '{"agent_name":"kyc-screener"}' "$MASTIO/v1/admin/agents"
`
