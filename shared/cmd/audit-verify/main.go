// Command audit-verify checks an exported audit trail offline: audit-verify [flags] FILE…
//
// FILE is a bundle (tar.gz, tar, or the folder that it was unpacked into), or the parts of one in their order, or
// exported rows (ndjson, plain or gzip). The exit status is 0 if everything holds and was signed by a key that the
// auditor named (or -unpinned was given), 5 if it holds and no key was named, 1 at the first break, 2 if the command
// cannot be understood or a file is not a bundle, or cannot be read.
package main

import (
	"bufio"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/audit/rfc3161"
	"github.com/mastio-aws/mastio/shared/version"
)

// Exit statuses.
const (
	holds      = 0
	broke      = 1
	usage      = 2 // also: not a bundle
	consistent = 5 // it is consistent; only the auditor can say whose key signed it
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

type options struct {
	json     bool
	quiet    bool
	unpinned bool
	version  bool
	tsaCA    string
	bundle.VerifierConfig
}

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("audit-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what it would say of a failure is said below
	flags.StringVar(&o.Key, "key", "", "`fingerprint` (SHA-256 of the public key, hex) that must have signed every "+
		"checkpoint; several, with commas between, if the key was changed")
	flags.StringVar(&o.Checkpoint, "checkpoint", "", "`hash` of a checkpoint seen before, which must be part of "+
		"the history")
	flags.StringVar(&o.tsaCA, "tsa-ca", "", "`file` with the roots (PEM) that timestamps must chain to")
	flags.BoolVar(&o.Partial, "partial", false, "allow a missing beginning: check a part of a bundle without the parts "+
		"before it, or each row of an export alone")
	flags.BoolVar(&o.unpinned, "unpinned", false, "no key is named: exit with status 0 if the file is consistent")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	flags.BoolVar(&o.quiet, "quiet", false, "no progress on standard error")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help(flags, stdout)
		return holds
	}
	if err == nil && o.version {
		fmt.Fprintln(stdout, "audit-verify", version.Stamp)
		return holds
	}
	if err == nil {
		err = o.complete(flags.NArg())
	}
	if err != nil {
		fmt.Fprintf(stderr, "audit-verify: %v\n\n", err)
		help(flags, stderr)
		return usage
	}
	report, err := check(o, flags.Args(), stderr)
	if err != nil {
		fmt.Fprintln(stderr, "audit-verify:", err)
		return usage
	}
	if o.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = print(stdout, report)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "audit-verify:", err)
		return usage
	case !report.OK:
		return broke
	case !report.Pinned && !o.unpinned:
		return consistent
	}
	return holds
}

func help(flags *flag.FlagSet, w io.Writer) {
	fmt.Fprintln(w, "usage: audit-verify [flags] FILE…   (a bundle, its parts in order, a bundle's folder, or "+
		"exported rows)")
	flags.SetOutput(w)
	flags.PrintDefaults()
	fmt.Fprintln(w, "\nExit status: 0 everything holds and was signed by the key that -key names (or -unpinned), 5 "+
		"everything holds and no key was named,\n"+
		"1 something does not hold, 2 wrong usage, or a file is not a bundle or cannot be read.")
}

// complete says what the command line lacks.
func (o options) complete(files int) error {
	switch {
	case !hashes(o.Key):
		return errors.New("-key takes fingerprints, 64 lower-case hex digits each, not a file: openssl pkey -pubin -in " +
			"audit-key.pem -outform DER | sha256sum")
	case !hash(o.Checkpoint):
		return errors.New("-checkpoint takes a hash, 64 lower-case hex digits, as an earlier report shows it")
	case o.unpinned && o.Key != "":
		return errors.New("-unpinned says that no key is named, and -key names one")
	case files == 0:
		return errors.New("which file?")
	}
	return nil
}

// hash reports whether an option is 64 lower-case hex digits, or was not given.
func hash(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s == "" || len(s) == 64
}

func hashes(list string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if !hash(one) || one == "" && list != "" {
			return false
		}
	}
	return true
}

// check verifies the files; its error is of a file that cannot be read.
func check(o options, files []string, stderr io.Writer) (bundle.Report, error) {
	var roots *x509.CertPool
	if o.tsaCA != "" {
		pem, err := os.ReadFile(o.tsaCA)
		if err != nil {
			return bundle.Report{}, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return bundle.Report{}, fmt.Errorf("%s holds no certificate in PEM", o.tsaCA)
		}
	}
	o.Timestamp = rfc3161.Checker(roots)
	if !o.quiet {
		o.Progress = func(rows int64) { fmt.Fprintf(stderr, "\r%d rows", rows) }
	}
	v := bundle.NewVerifier(o.VerifierConfig)
	var broken *bundle.Break
	for _, name := range files {
		if err := one(v, name); errors.As(err, &broken) && !broken.Form {
			break
		} else if err != nil {
			return bundle.Report{}, err
		}
	}
	report := v.Finish(broken)
	if !o.quiet && report.Rows >= 1<<14 {
		fmt.Fprintln(stderr)
	}
	return report, unfit(o, report)
}

// unfit are the ends at which a file is not what was asked for, and nothing says that it was changed.
func unfit(o options, r bundle.Report) error {
	switch {
	case r.OrgID != "": // a bundle
		return nil
	case r.Rows == 0 && !o.Partial:
		return fmt.Errorf("%w: there is nothing in it. Every organisation has rows: the file was cut off, or a filter let "+
			"nothing through (-partial)", bundle.ErrForm)
	case o.Key != "" && (r.Break == nil || r.Break.Line == 0):
		return fmt.Errorf("%w: exported rows carry no signature, so -key has nothing to check: give a bundle", bundle.ErrForm)
	}
	return nil
}

// one verifies a file of either kind: rows, or a bundle.
func one(v *bundle.Verifier, name string) error {
	err := read(v, name)
	var b *bundle.Break
	if errors.Is(err, bundle.ErrForm) || errors.As(err, &b) && b.Form {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

func read(v *bundle.Verifier, name string) error {
	open := func() (io.ReadCloser, error) { return os.Open(name) } //nolint:gosec // the file that was asked for
	kind, err := kindOf(name, open)
	if err != nil {
		return err
	}
	if kind == archive || kind == folder {
		r, err := bundle.OpenFolder(os.DirFS(name))
		if kind == archive {
			r, err = bundle.Open(open)
		}
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return v.Bundle(name, r)
	}
	file, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	in := io.Reader(file)
	if kind == packed {
		if in, err = gzip.NewReader(bufio.NewReaderSize(file, 1<<16)); err != nil {
			return fmt.Errorf("%w: %w", bundle.ErrForm, err)
		}
	}
	ahead := bufio.NewReaderSize(in, mostLine)
	if err := firstRow(ahead); err != nil {
		return err
	}
	return v.Events(name, bundle.NewLines(ahead))
}
