package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mastio-aws/mastio/shared/audit/bundle"
)

// Verdict is what a verification found.
type Verdict struct {
	bundle.Report
	Next int64 // the checkpoint with which an auditor would go on, where the time ran out; zero: all of it was looked at
}

// spare is how much of a request's time is left alone, for the part that is being packed and for the answer.
const spare = 10 * time.Second

// Verify packs the history, part by part, as it is handed to an auditor, and verifies it as an auditor does: every
// hash, every chain, every checkpoint's signature by the key that signs now, and that nothing is missing. It shows the
// Mastio's operator that no row was changed behind the Mastio's back. An auditor who does not trust the Mastio verifies
// a bundle offline.
//
// A history that takes longer than the request may is verified up to where its time ends.
//
// Errors: ErrTail, ErrArchive, registry.ErrConflict if checkpoints kept being made. A defect of the
// history is no error: it is in the verdict.
func (t *Trail) Verify(ctx context.Context) (Verdict, error) {
	key, err := t.pinned(ctx)
	if err != nil {
		return Verdict{}, err
	}
	v := bundle.NewVerifier(bundle.VerifierConfig{Key: key})
	for next := int64(1); next != 0; {
		if end, ok := ctx.Deadline(); ok && next > 1 && end.Sub(t.Now()) < spare {
			return Verdict{v.Finish(nil), next}, nil
		}
		packed, err := t.Bundle(ctx, Parts{From: next})
		if err != nil {
			return Verdict{}, fmt.Errorf("pack what begins with checkpoint %d: %w", next, err)
		}
		if err := verifyPart(v, packed.TarGz); err != nil {
			return Verdict{Report: v.Finish(broken(err))}, nil
		}
		next = packed.Next
	}
	return Verdict{Report: v.Finish(nil)}, nil
}

// pinned is the fingerprint of the key that must have signed every checkpoint; empty before the first one.
func (t *Trail) pinned(ctx context.Context) (string, error) {
	last, err := t.Store.Checkpoint(ctx)
	if err != nil || last == nil {
		return "", err
	}
	key, err := t.Key(ctx)
	return key.Fingerprint, err
}

func verifyPart(v *bundle.Verifier, tarGz []byte) error {
	r, err := bundle.Open(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tarGz)), nil })
	if err != nil {
		return err
	}
	defer r.Close()
	return v.Bundle("the trail", r)
}

func broken(err error) *bundle.Break {
	if b, ok := errors.AsType[*bundle.Break](err); ok {
		return b
	}
	return &bundle.Break{File: "the trail", Reason: err.Error()}
}
