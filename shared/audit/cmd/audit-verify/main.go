// Command audit-verify checks an exported audit trail offline: audit-verify [flags] FILE…
//
// FILE is a bundle (tar.gz), or the parts of one in their order, or exported rows (ndjson, plain or gzip). The exit
// status is 0 if everything holds, 1 at the first break, 2 if the command cannot be understood or a file not be read.
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
	"github.com/mastio-aws/mastio/shared/audit/verify"
)

// Exit statuses.
const (
	holds = 0
	broke = 1
	usage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

type options struct {
	json  bool
	quiet bool
	tsaCA string
	verify.Config
}

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("audit-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what it would say of a failure is said below
	flags.StringVar(&o.Key, "key", "", "`fingerprint` (SHA-256 of the public key, hex) that must have signed every checkpoint; several, with commas, where it was changed")
	flags.StringVar(&o.Checkpoint, "checkpoint", "", "`hash` of a checkpoint seen before, which must be part of the history")
	flags.StringVar(&o.tsaCA, "tsa-ca", "", "`file` with the roots (PEM) that timestamps must chain to")
	flags.BoolVar(&o.Partial, "partial", false, "the beginning may be missing: check a part of a bundle without those before it, or an export's rows each by itself")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	flags.BoolVar(&o.quiet, "quiet", false, "no progress on standard error")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help(flags, stdout)
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
	}
	return holds
}

func help(flags *flag.FlagSet, w io.Writer) {
	fmt.Fprintln(w, "usage: audit-verify [flags] FILE…   (a bundle, its parts in order, or exported rows)")
	flags.SetOutput(w)
	flags.PrintDefaults()
	fmt.Fprintln(w, "\nExit status: 0 everything holds, 1 something does not, 2 the command cannot be understood or a file not be read.")
}

// complete says what the command line lacks.
func (o options) complete(files int) error {
	switch {
	case !hashes(o.Key):
		return errors.New("-key takes fingerprints, 64 lower-case hex digits each, not a file: openssl pkey -pubin -in audit-key.pem -outform DER | sha256sum")
	case !hash(o.Checkpoint):
		return errors.New("-checkpoint takes a hash, 64 lower-case hex digits, as an earlier report shows it")
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
func check(o options, files []string, stderr io.Writer) (verify.Report, error) {
	var roots *x509.CertPool
	if o.tsaCA != "" {
		pem, err := os.ReadFile(o.tsaCA)
		if err != nil {
			return verify.Report{}, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return verify.Report{}, fmt.Errorf("%s holds no certificate in PEM", o.tsaCA)
		}
	}
	o.Timestamp = rfc3161.Checker(roots)
	if !o.quiet {
		o.Progress = func(rows int64) { fmt.Fprintf(stderr, "\r%d rows", rows) }
	}
	v := verify.New(o.Config)
	var broken *verify.Break
	for _, name := range files {
		err := one(v, name)
		var form bool
		if broken, form = asBreak(name, err); broken != nil {
			break
		}
		if err != nil && !form {
			return verify.Report{}, err
		}
	}
	report := v.Finish(broken)
	if !o.quiet && report.Rows >= 1<<14 {
		fmt.Fprintln(stderr)
	}
	return report, nil
}

// asBreak tells what is wrong with a file's content from a file that cannot be read.
func asBreak(name string, err error) (b *verify.Break, form bool) {
	switch {
	case errors.As(err, &b):
		return b, true
	case errors.Is(err, bundle.ErrForm):
		return &verify.Break{File: name, Reason: err.Error()}, true
	}
	return nil, false
}

// one verifies a file of either kind: a bundle is gzip that begins with its manifest, the rest are rows.
func one(v *verify.Verifier, name string) error {
	open := func() (io.ReadCloser, error) { return os.Open(name) } //nolint:gosec // the file that was asked for
	kind, err := kindOf(open)
	if err != nil {
		return err
	}
	if kind == archive {
		r, err := bundle.Open(open)
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
	return v.Events(name, bundle.NewLines(in))
}

type kind int

const (
	plain kind = iota
	packed
	archive
)

func kindOf(open func() (io.ReadCloser, error)) (kind, error) {
	file, err := open()
	if err != nil {
		return plain, err
	}
	defer func() { _ = file.Close() }()
	in := bufio.NewReader(file)
	magic, err := in.Peek(4)
	if string(magic) == "H4sI" {
		return plain, fmt.Errorf("%w: it is base64: ask for it with Accept: application/gzip, or decode it with base64 -d", bundle.ErrForm)
	}
	if err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return plain, nil //nolint:nilerr // an empty file has no rows
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return plain, fmt.Errorf("%w: %w", bundle.ErrForm, err)
	}
	name := make([]byte, len(bundle.ManifestFile))
	if _, err := io.ReadFull(zip, name); err != nil || string(name) != bundle.ManifestFile {
		return packed, nil //nolint:nilerr // reading it as rows tells what is wrong
	}
	return archive, nil
}
