package mastio

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
)

// The deployments that all tests look at; each is synthesised once. The agents' API is an HTTP API in the first two.
var hardened, trying, traced, local deployment

// deployment is what a synthesis wrote.
type deployment struct {
	app       awscdk.App
	mastio    *Mastio
	resources map[string]resource // of all stacks, by stack and logical id
	outputs   map[string]any
	out       string // folder of the templates
}

type resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           any
	DeletionPolicy      string
	UpdateReplacePolicy string
	stack, id           string
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := takePinnedNode(); err != nil {
		fmt.Println(err)
		return 1
	}
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") != "" {
			fmt.Println("the CDK app needs Node.js: make infra-setup:", err)
			return 1
		}
		fmt.Println("skipped: the CDK app needs Node.js: make infra-setup:", err)
		return 0
	}
	defer jsii.Close()
	dir, err := os.MkdirTemp("", "mastio-infra")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	for name, to := range map[string]struct {
		d     *deployment
		props Props
	}{
		"hardened": {&hardened, everything()}, "traced": {&traced, overREST()}, "trying": {&trying, Props{
			OrgID:       "acme",
			TrustDomain: "acme.example",
		}},
		"local": {&local, Props{
			OrgID:        "acme",
			TrustDomain:  "acme.example",
			Target:       LocalStack,
			Architecture: X86,
			Issuer:       "https://localhost:9443",
		}},
	} {
		if err := to.d.synthesise(filepath.Join(dir, name), to.props); err != nil {
			fmt.Printf("%s: %v\n", name, err)
			return 1
		}
	}
	return m.Run()
}

// takePinnedNode starts this program over with the Node.js that make has installed, if it has: the CDK's bridge looks
// for one before any code of ours runs.
func takePinnedNode() error {
	node, err := filepath.Abs(filepath.Join("..", "..", "build", "infra", "node_modules", ".bin", "node"))
	if err != nil || os.Getenv("JSII_NODE") != "" {
		return err
	}
	if _, err := os.Stat(node); err != nil {
		return nil //nolint:nilerr // not installed: whatever is on the PATH does
	}
	os.Setenv("JSII_NODE", node)
	os.Setenv("PATH", filepath.Dir(node)+string(os.PathListSeparator)+os.Getenv("PATH"))
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, os.Environ())
}

const ownership = "arn:aws:acm:eu-central-1:111111111111:certificate/11111111-1111-1111-1111-111111111111"

const zone = "Z0123456789ACME"

// everything has each setting set.
func everything() Props {
	const certificate = "arn:aws:acm:eu-central-1:111111111111:certificate/00000000-0000-0000-0000-000000000000"
	p := Defaults()
	p.OrgID, p.TrustDomain = "acme", "acme.example"
	p.Agents = &Domain{Name: "agents.mastio.acme.example", CertificateARN: certificate, OwnershipCertificateARN: ownership}
	p.Operators = &Domain{Name: "mastio.acme.example", CertificateARN: certificate}
	p.HostedZone = zone
	p.AlarmEmail, p.AllowedSources = "oncall@acme.example", []string{"192.0.2.0/24", "2001:db8::/32"}
	p.TokenSigner, p.StrictPKI, p.AutoMigrate, p.RequireDPoP, p.RequireNonce, p.RegisteredDPoPOnly = KMSSigner, true, true,
		true, true, true
	p.ArchiveLock, p.LogKey = Compliance, true
	return p
}

// overREST is everything over REST APIs, which can be traced, with DNS records that are kept elsewhere.
func overREST() Props {
	p := everything()
	p.AgentsAPI, p.Tracing, p.HostedZone = RESTAPI, true, ""
	return p
}

// synthesise writes templates over functions that are empty files: none is built for it.
func (d *deployment) synthesise(dir string, p Props) error {
	p.BuildDir = filepath.Join(dir, "lambda")
	if err := fakeFunctions(p.BuildDir); err != nil {
		return err
	}
	context, err := featureFlags()
	if err != nil {
		return err
	}
	d.out = filepath.Join(dir, "cdk.out")
	d.app = awscdk.NewApp(&awscdk.AppProps{Outdir: &d.out, Context: &context, AnalyticsReporting: jsii.Bool(false)})
	d.mastio = NewStacks(d.app, p, &awscdk.Environment{
		Account: jsii.String("111111111111"),
		Region:  jsii.String("eu-central-1"),
	})
	if p.Target != LocalStack { // which has no firewall, for one
		lint(d)
	}
	d.app.Synth(nil)
	return d.read()
}

// fakeFunctions writes a bootstrap for each function, which says its name.
func fakeFunctions(dir string) error {
	for _, name := range routes.Functions() {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name, "bootstrap"), []byte(name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// featureFlags are those of cdk.json: a template of the tests is the template of a deployment.
func featureFlags() (map[string]any, error) {
	b, err := os.ReadFile(filepath.Join("..", "..", "cdk.json"))
	if err != nil {
		return nil, err
	}
	var file struct{ Context map[string]any }
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	flags := map[string]any{}
	for name, v := range file.Context {
		if strings.HasPrefix(name, "@") {
			flags[name] = v
		}
	}
	return flags, nil
}

func (d *deployment) read() error { return d.readStacks("MastioData", "Mastio") }

func (d *deployment) readStacks(stacks ...string) error {
	d.resources, d.outputs = map[string]resource{}, map[string]any{}
	for _, stack := range stacks {
		b, err := os.ReadFile(filepath.Join(d.out, stack+".template.json"))
		if err != nil {
			return err
		}
		var t struct {
			Resources map[string]resource
			Outputs   map[string]any
		}
		if err := json.Unmarshal(b, &t); err != nil {
			return err
		}
		for id, r := range t.Resources {
			r.stack, r.id = stack, id
			d.resources[stack+"/"+id] = r
		}
		for id, o := range t.Outputs {
			d.outputs[stack+"/"+id] = o
		}
	}
	return nil
}

// all returns the resources of a type.
func (d *deployment) all(kind string) []resource {
	var found []resource
	for _, id := range sortedKeys(d.resources) {
		if d.resources[id].Type == kind {
			found = append(found, d.resources[id])
		}
	}
	return found
}
