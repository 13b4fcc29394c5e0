// Command smoke checks that a deployed Mastio works. It runs the operator's guide against the deployed hosts, from
// the enrolment of an agent to the refusal of its old certificate, and checks the facts about AWS that only an
// account can show. It needs only the credentials of the deployment. It enrols an agent of its own and deactivates it
// again; it rotates the Org CA only on request.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mastio-aws/mastio/infra/command"
)

// Exit statuses.
const (
	exitWorks = 0
	exitWrong = 1
	exitUsage = 2 // no installation was found
)

const timeToAsk = 15 * time.Minute

// options are the command's.
type options struct {
	org, agents, operators string
	insecure               bool // for a gateway on this machine, whose certificate no public CA has issued
	rotateCA               bool
	questions              bool
}

func main() { command.Main(run) }

func run(ctx context.Context, args []string, out, failed io.Writer) int {
	flags := flag.NewFlagSet("smoke", flag.ContinueOnError)
	flags.SetOutput(failed)
	var o options
	flags.StringVar(&o.org, "org", "", "the `organisation`, if the account has several")
	flags.StringVar(&o.agents, "agents", "", "base `URL` of the agents (default: the stack's output)")
	flags.StringVar(&o.operators, "operators", "", "base `URL` of the operators (default: the stack's output)")
	flags.BoolVar(&o.insecure, "insecure", false, "accept any server certificate: for a gateway on this machine")
	flags.BoolVar(&o.rotateCA, "rotate-ca", false, "rotate the Org CA too: every agent has to re-enrol")
	flags.BoolVar(&o.questions, "questions", true, "ask AWS too: make a table, a role and keys, and remove them "+
		"(some cents)")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitWorks
	} else if err != nil {
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, timeToAsk)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fmt.Fprintln(failed, "smoke: load the AWS configuration:", err)
		return exitUsage
	}
	in, err := find(ctx, cfg, o)
	if err != nil {
		fmt.Fprintln(failed, "smoke:", err)
		return exitUsage
	}
	return ask(ctx, cfg, in, o, out)
}

// ask goes through the guide, then asks AWS, and prints as it goes.
func ask(ctx context.Context, cfg aws.Config, in installation, o options, out io.Writer) int {
	t := table{out: out}
	fmt.Fprintf(out, "%s: agents at %s, operators at %s\n\n", in.org, in.agents, in.operators)
	begun := time.Now().Add(-time.Minute) // by the clock of AWS
	g := newGuide(in, strings.ToLower(rand.Text()[:8]), o)
	for _, s := range g.steps(o.rotateCA) {
		t.take(ctx, s)
	}
	if o.questions {
		q := newQuestions(cfg, in.org, strings.ToLower(rand.Text()[:8]))
		l := &logs{q: q, since: begun, asked: in.mutual && g.now.Cert != ""}
		for _, s := range append(q.steps(), l.steps()...) {
			t.take(ctx, s)
		}
		for _, left := range q.clean(context.WithoutCancel(ctx)) {
			t.take(ctx, step{name: "clean-up", do: func(context.Context) (string, error) { return "", left }})
		}
	}
	return t.end()
}
