// Command preflight checks an AWS account before a deployment, with the credentials at hand. It reports each problem
// that would make the deployment fail, with the command that fixes it. It reads the output of make synth and changes
// nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mastio-aws/mastio/infra/command"
)

// Exit statuses.
const (
	exitReady  = 0
	exitWrong  = 1 // something would fail
	exitUsage  = 2 // there are no templates, or no credentials
	timeToLook = 2 * time.Minute
)

func main() { command.Main(run) }

func run(ctx context.Context, args []string, out, failed io.Writer) int {
	flags := flag.NewFlagSet("preflight", flag.ContinueOnError)
	flags.SetOutput(failed)
	dir := flags.String("templates", "cdk.out", "`folder` that make synth wrote")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitReady
	} else if err != nil {
		return exitUsage
	}
	a, err := readAssembly(*dir)
	if err != nil {
		fmt.Fprintln(failed, "preflight:", err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, timeToLook)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(a.region))
	if err != nil {
		fmt.Fprintln(failed, "preflight: load the AWS configuration:", err)
		return exitUsage
	}
	return report(out, a, look(ctx, a, cfg), filepath.ToSlash(*dir))
}

// look makes every check. A check that cannot read something reports that as its own finding, so that the other
// checks still run.
func look(ctx context.Context, a assembly, cfg aws.Config) []finding {
	l := newLooker(a, cfg)
	who := l.credentials(ctx)
	if who.level == fails {
		return []finding{who}
	}
	all := []finding{who}
	for _, check := range []func(context.Context) []finding{
		l.bootstrapped, l.stackStates, l.concurrency, l.logRole, l.certificates, l.adoption, l.names, l.records, l.oldKeys,
	} {
		all = append(all, check(ctx)...)
	}
	return all
}
