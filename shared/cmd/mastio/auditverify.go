package main

import (
	"bytes"
	"io"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/verify"
)

func (a *app) auditVerify() *cobra.Command {
	var o verify.Options
	var quiet bool
	var page string
	cmd := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Verify an audit trail offline",
		Long: "verify checks that no row was changed, taken out or put in, and that no chain was cut. It needs no Mastio\n" +
			"and no network. FILE is a bundle (tar.gz, tar, or the folder that it was unpacked into), the parts of one in\n" +
			"order, or exported rows. Get the fingerprint for --key from somewhere else than the bundle.\n\n" + exitStatuses,
		Example: "  mastio audit verify --key 3d4f0ed3… audit.tar.gz\n" +
			"  mastio audit verify --key 3d4f0ed3… --report report.html audit.tar.gz\n" +
			"  mastio audit verify --unpinned --partial rows.ndjson",
		RunE: func(_ *cobra.Command, files []string) error {
			if err := o.Check(len(files)); err != nil {
				return err
			}
			var progress io.Writer
			if !quiet && screen.Form(a.form) == screen.TableForm {
				progress = a.err
			}
			return a.verify(o, files, progress, page)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Key, "key", "", "`fingerprint` (SHA-256 of the public key, hex) that must have signed every "+
		"checkpoint; several, with commas, where it was changed")
	f.StringVar(&o.Checkpoint, "checkpoint", "", "`hash` of a checkpoint seen before, which must be part of the history")
	f.StringVar(&o.TSACA, "tsa-ca", "", "`file` with the roots (PEM) that time stamps must chain to")
	f.BoolVar(&o.Partial, "partial", false, "the beginning may be missing: check a part of a bundle without those before "+
		"it, or each row of an export alone")
	f.BoolVar(&o.Unpinned, "unpinned", false, "no key is named: a consistent trail is enough for exit status 0")
	f.BoolVar(&quiet, "quiet", false, "show no progress")
	f.StringVar(&page, "report", "", "write a page for people to this `file`, as HTML")
	return cmd
}

func (a *app) verify(o verify.Options, files []string, progress io.Writer, page string) error {
	report, err := verify.Files(o, files, progress)
	if err != nil {
		return err
	}
	if page != "" {
		var html bytes.Buffer
		if err := verify.Page(&html, report, files, a.now()); err != nil {
			return err
		}
		if err := identity.WriteFile(page, html.Bytes()); err != nil {
			return err
		}
	}
	status, word := succeeded, "OK"
	switch {
	case !report.OK:
		status, word = refused, "BROKEN"
	case !report.Pinned:
		word = "CONSISTENT"
		if !o.Unpinned {
			status = unpinned
		}
	}
	if screen.Form(a.form) == screen.TableForm {
		err = verify.Print(a.out, report)
	} else {
		err = a.screen().Write(screen.Result{Whole: report, Names: []string{word}})
	}
	if err != nil {
		return err
	}
	if status != succeeded {
		return &verdict{status: status}
	}
	return nil
}
