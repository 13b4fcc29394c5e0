// Command restore copies the Mastio's tables into files and back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/infra/command"
	"github.com/mastio-aws/mastio/infra/restore/tablecopy"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: go run ./infra/restore COMMAND [flags] DIR

  out   copy the tables into files in DIR, which must be new or empty. The items are read one after the other: stop the
        schedule and the traffic first. The files hold everything that the tables hold: protect them as well as the
        tables. Sessions and used proofs are not copied: they must not come back.
  in    copy the files in DIR into the tables, which hold nothing else afterwards. Missing tables are made.

  --prefix P      the beginning of the tables' names, such as mastio-orga- (required)
  --endpoint URL  of DynamoDB (default: the endpoint of your AWS settings)
  --replace       in: replace the present content of the tables
  --help          this text

Credentials and region come from your AWS settings, as for the AWS command line. out needs dynamodb:Scan; in needs
dynamodb:BatchWriteItem too. Exit status: 0 done, 1 failed, 2 usage.
`

var errUsage = errors.New("usage")

func main() { command.Main(run) }

// run runs one command and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "%v\n\n%s", err, usage)
		return exitUsage
	}
	if err := do(ctx, o, stdout); err != nil {
		fmt.Fprintf(stderr, "error: %v%s\n", err, advice(err))
		return exitFailed
	}
	return exitDone
}

// advice says what to do next.
func advice(err error) string {
	switch {
	case errors.Is(err, tablecopy.ErrNotEmpty):
		return "; nothing was changed: --replace replaces what is there"
	case errors.Is(err, tablecopy.ErrExists):
		return "; nothing was changed: name another folder"
	case errors.Is(err, tablecopy.ErrIncomplete):
		return "; nothing was changed: copy out once more"
	}
	return ""
}

type options struct {
	command, dir, prefix, endpoint string
	replace                        bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.prefix, "prefix", "", "")
	flags.StringVar(&o.endpoint, "endpoint", "", "")
	flags.BoolVar(&o.replace, "replace", false, "")
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		o.command, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.dir = flags.Arg(0)
	switch {
	case o.command != "in" && o.command != "out":
		return o, fmt.Errorf("%w: the command is in or out, not %q", errUsage, o.command)
	case flags.NArg() != 1:
		return o, fmt.Errorf("%w: name one folder", errUsage)
	case o.prefix == "":
		return o, fmt.Errorf("%w: --prefix is missing", errUsage)
	case o.replace && o.command == "out":
		return o, fmt.Errorf("%w: --replace is for in", errUsage)
	}
	return o, nil
}

func do(ctx context.Context, o options, stdout io.Writer) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("load the AWS settings: %w", err)
	}
	if o.endpoint != "" {
		cfg.BaseEndpoint = &o.endpoint
	}
	client := awsdynamodb.NewFromConfig(cfg,
		func(d *awsdynamodb.Options) { d.DisableValidateResponseChecksum = o.endpoint != "" })
	began := time.Now()
	c := tablecopy.Config{
		Client: client,
		Prefix: o.prefix,
		Dir:    o.dir,
		Progress: func(step string) {
			fmt.Fprintf(stdout, "%5.1fs  %s\n", time.Since(began).Seconds(), step)
		},
	}
	if o.command == "out" {
		return tablecopy.Out(ctx, c)
	}
	if err := dynamodb.CreateTables(ctx, client, o.prefix); err != nil {
		return err
	}
	return tablecopy.In(ctx, c, o.replace)
}
