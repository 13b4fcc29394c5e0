// Package verify checks an exported audit trail offline: a bundle (tar.gz, tar, or the folder that it was unpacked
// into), the parts of one in their order, or exported rows (ndjson, plain or gzip).
package verify

import (
	"bufio"
	"compress/gzip"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/audit/rfc3161"
)

// Options are what an auditor demands.
type Options struct {
	bundle.VerifierConfig
	Unpinned bool   // no key is named: that the trail agrees with itself is enough
	TSACA    string // file with the roots (PEM) that time stamps must chain to; empty: none are demanded
}

// Check says what is wrong with the options.
func (o Options) Check(files int) error {
	switch {
	case !hashes(o.Key):
		return errors.New("--key takes fingerprints, 64 lower-case hex digits each, not a file: openssl pkey -pubin -in " +
			"audit-key.pem -outform DER | sha256sum")
	case !hash(o.Checkpoint):
		return errors.New("--checkpoint takes a hash, 64 lower-case hex digits, as an earlier report shows it")
	case o.Unpinned && o.Key != "":
		return errors.New("--unpinned says that no key is named, and --key names one")
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

// Files verifies files, and reports their progress to progress, unless it is nil. Its error is of a file that is not a
// bundle, or cannot be read.
func Files(o Options, files []string, progress io.Writer) (Report, error) {
	var roots *x509.CertPool
	if o.TSACA != "" {
		pem, err := os.ReadFile(o.TSACA)
		if err != nil {
			return Report{}, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return Report{}, fmt.Errorf("%s holds no certificate in PEM", o.TSACA)
		}
	}
	o.Timestamp = rfc3161.Checker(roots)
	if progress != nil {
		o.Progress = func(rows int64) { fmt.Fprintf(progress, "\r%d rows", rows) }
	}
	c := collector{report: Report{Actors: map[string]int64{}, Events: map[audit.Event]int64{}}}
	o.Row = c.row
	v := bundle.NewVerifier(o.VerifierConfig)
	var broken *bundle.Break
	for _, name := range files {
		if err := one(v, name); errors.As(err, &broken) && !broken.Form {
			break
		} else if err != nil {
			return Report{}, err
		}
	}
	report := c.finish(v.Finish(broken))
	if progress != nil && report.Rows >= 1<<14 {
		fmt.Fprintln(progress)
	}
	return report, unfit(o, report)
}

// unfit are the ends at which a file is not what was asked for, and nothing says that it was changed.
func unfit(o Options, r Report) error {
	switch {
	case r.OrgID != "": // a bundle
		return nil
	case r.Rows == 0 && !o.Partial:
		return fmt.Errorf("%w: there is nothing in it. Every organisation has rows: the file was cut off, or a filter let "+
			"nothing through (--partial)", bundle.ErrForm)
	case o.Key != "" && (r.Break == nil || r.Break.Line == 0):
		return fmt.Errorf("%w: exported rows carry no signature, so --key has nothing to check: give a bundle",
			bundle.ErrForm)
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
