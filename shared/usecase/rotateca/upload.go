package rotateca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/dn"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/upload"
)

// Files are an operator's CA as they came. Do overwrites them.
type Files struct {
	Certificates []byte // the CA, and what is above it
	Key          []byte
}

// digest names the files and reveals nothing about the key.
func (f *Files) digest() string {
	if f == nil {
		return ""
	}
	sum := sha256.Sum256(f.Certificates)
	return hex.EncodeToString(sum[:])
}

// Wipe overwrites both files: an operator who swaps them puts the key into the certificate's file. Nil Files have
// nothing to overwrite.
func (f *Files) Wipe() {
	if f != nil {
		clear(f.Key)
		clear(f.Certificates)
	}
}

// FormClosed reports whether a multipart body has its closing delimiter (RFC 2046 section 5.1.1), on a line of its own.
// mime/multipart takes the end of the body for one.
func FormClosed(body []byte, boundary string) bool {
	closing := []byte("--" + boundary + "--")
	for line := range bytes.Lines(body) {
		if bytes.Equal(bytes.TrimRight(line, " \t\r\n"), closing) {
			return true
		}
	}
	return false
}

// upload makes the operator's CA current. It is judged under the lease: no other upload of the same key is on its way.
func (w *run) upload(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	begun, err := w.judge(ctx, org)
	if err != nil {
		return Result{}, err
	}
	w.save(ctx)
	return w.makeCurrent(ctx, org, begun)
}

// judge reads the upload into w.material and decides whether it may become the Org CA. A refusal leaves a row in the
// audit trail and nothing else.
//
// begun is the generation of the same CA that an interrupted request under the same idempotency key staged: judge
// takes it and makes no new one. Without a key there is none, because a CA that is staged already is most likely a
// mistake; see explain.
func (w *run) judge(ctx context.Context, org registry.Org) (begun *orgca.Generation, err error) {
	w.material, err = w.read(w.req.Upload, org)
	if err != nil && w.req.IdempotencyKey != "" {
		if again, begun, ok := w.resume(org); ok {
			w.material = again
			return &begun, nil
		}
	}
	if errors.Is(err, upload.ErrRefused) {
		w.refused(ctx, org, problem.Of(err).Errors)
	}
	return nil, err
}

// resume reads the upload once more as if the staged generation of the same CA were not there.
func (w *run) resume(org registry.Org) (*upload.Material, orgca.Generation, bool) {
	begun, ok := stagedIn(w.req.Upload.Certificates, org)
	if !ok {
		return nil, begun, false
	}
	m, err := w.read(w.req.Upload, without(org, begun))
	if err != nil {
		return nil, begun, false
	}
	if !bytes.Equal(m.Chain[0].Raw, begun.Root) {
		m.Zero()
		return nil, begun, false
	}
	return m, begun, true
}

// stagedIn finds the staged upload whose CA is in a file of certificates.
func stagedIn(file []byte, org registry.Org) (orgca.Generation, bool) {
	for _, g := range org.Generations {
		if g.State == orgca.Staged && g.Source == orgca.Upload && holds(file, g.Root) {
			return g, true
		}
	}
	return orgca.Generation{}, false
}

func without(org registry.Org, g orgca.Generation) registry.Org {
	org.Generations = slices.DeleteFunc(slices.Clone(org.Generations),
		func(other orgca.Generation) bool { return other.Number == g.Number })
	return org
}

func (r *Rotator) read(f *Files, org registry.Org) (*upload.Material, error) {
	known, err := knownCertificates(org)
	if err != nil {
		return nil, err
	}
	material, err := upload.Read(f.Certificates, f.Key, upload.Policy{
		Now:    r.Now(),
		Known:  known,
		Legacy: org.Pointer == nil && !r.Strict,
	})
	if err != nil {
		return nil, explain(err, f, org)
	}
	return &material, nil
}

// knownCertificates are the certificates of every generation that was ever complete: accepted, restorable, or retired
// and still in the edge's truststore. A generation whose preparation failed was never used: its operator may try
// again.
func knownCertificates(org registry.Org) ([]upload.Known, error) {
	var all []upload.Known
	for _, g := range org.Generations {
		if g.State == orgca.Preparing || g.State == orgca.Failed {
			continue
		}
		for i, der := range append([][]byte{g.Root, g.Issuing}, g.Above...) {
			if len(der) == 0 {
				continue
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("read the certificates of generation %d: %w", g.Number, err)
			}
			all = append(all, upload.Known{Generation: g.Number, Certificate: cert, Above: i > 1})
		}
	}
	return all, nil
}

// explain adds to a refusal for a reused key what its operator most likely wants: to commit what is staged already.
func explain(err error, f *Files, org registry.Org) error {
	defects := slices.Clone(problem.Of(err).Errors)
	for i, d := range defects {
		if d.Code != upload.KeyReused {
			continue
		}
		if g, ok := stagedIn(f.Certificates, org); ok {
			defects[i].Detail += fmt.Sprintf("; it is staged as generation %d: POST /pki/rotate-ca?mode=commit&fingerprint=%s",
				g.Number, g.Fingerprint())
		}
	}
	return upload.ErrRefused.With(defects)
}

// holds reports whether a file of certificates, PEM or DER, contains this certificate.
func holds(file, der []byte) bool {
	if bytes.Contains(file, der) {
		return true
	}
	blocks, _ := pki.Blocks(file)
	return slices.ContainsFunc(blocks, func(b *pem.Block) bool { return bytes.Equal(b.Bytes, der) })
}

// refused writes the row of a refusal. The caller gets the defects whether or not the write succeeds.
func (w *run) refused(ctx context.Context, org registry.Org, defects []problem.Defect) {
	codes := []any{}
	for _, d := range defects {
		codes = append(codes, string(d.Code))
	}
	details := map[string]any{"codes": codes, "certificates_sha256": w.req.Upload.digest(), "mode": string(w.req.Mode)}
	entry := w.entry(audit.OrgCAUploadRefused, w.Now(), details)
	err := registry.Amend(ctx, w.Store, org, func(org registry.Org) (registry.Change, error) {
		row, head, err := org.Head.Append(entry)
		return registry.Change{ID: w.NewID(), Head: &head, Rows: []audit.Row{row}}, err
	})
	if err != nil {
		w.Log.ErrorContext(ctx, "pki.rotate.unrecorded", "event", string(audit.OrgCAUploadRefused), "cause", err.Error())
	}
}

// rehearseUpload judges the upload and answers what it would become, as far as that is known before its issuing CA is
// made. It changes nothing, and leaves no row either.
func (w *run) rehearseUpload(ctx context.Context, org registry.Org) (Result, error) {
	material, err := w.read(w.req.Upload, org)
	if err != nil {
		return Result{}, err
	}
	defer material.Zero()
	ca := material.Chain[0]
	g := orgca.Generation{
		Number:    org.NextNumber(),
		State:     orgca.Preparing,
		Source:    orgca.Upload,
		Root:      ca.Raw,
		Subject:   dn.String(ca.RawSubject),
		NotBefore: ca.NotBefore,
		NotAfter:  ca.NotAfter,
		Legacy:    material.Legacy,
	}
	for _, above := range material.Chain[1:] {
		g.Above = append(g.Above, above.Raw)
	}
	return w.rehearsed(ctx, org, preflight(org, g, w.Now())), nil
}

// Check is one thing that the pre-flight looked at.
type Check struct {
	Name   string `json:"check"`
	Result string `json:"result"` // "passed" or "warning"
	Detail string `json:"detail"`
}

// checks lists the checks of a generation's certificates and their results. A certificate that failed a check was
// refused before.
func checks(g orgca.Generation, now time.Time) []Check {
	ca, err := x509.ParseCertificate(g.Root)
	if err != nil {
		return nil
	}
	length := Check{"path_length", "passed", "the CA allows an issuing CA below it"}
	if g.Legacy {
		length = Check{"path_length", "warning", "pathLenConstraint is 0: agents' certificates are issued by the root " +
			"itself, and other verifiers may refuse them"}
	}
	verifiers := Check{"verifiers", "passed", "OpenSSL, GnuTLS, NSS, mbedTLS, Java, pyca/cryptography and rustls-webpki " +
		"take chains of this form"}
	if warnings := upload.Warnings(append([][]byte{g.Root}, g.Above...)); len(warnings) > 0 {
		verifiers.Result, verifiers.Detail = "warning", ""
		for _, w := range warnings {
			verifiers.Detail += w.Verifier + " refuses certificates under it by a policy of its own: " + w.Detail + ". "
		}
		verifiers.Detail = strings.TrimSuffix(verifiers.Detail, " ")
	}
	return []Check{
		{"chain", "passed", fmt.Sprintf("%d certificates, each issued by the next, up to the root", len(g.Chain()))},
		length,
		verifiers,
		{"key", "passed", keyKind(ca) + ", used by no earlier generation"},
		validity(g, now),
	}
}

// validity looks at the whole chain. Its earliest end cuts every certificate that is issued under it. That is a
// warning before the commit and no refusal, because the operator's PKI chose the dates.
func validity(g orgca.Generation, now time.Time) Check {
	v := g.Validity()
	days := int(v.Until.Sub(now) / (24 * time.Hour))
	left := fmt.Sprintf("%d days left, until %s, when the first certificate of the chain ends", days,
		v.Until.UTC().Format(time.DateOnly))
	switch {
	case !v.At(now):
		return Check{"validity", "warning",
			fmt.Sprintf("valid from %s to %s only: it cannot become current now", v.From.UTC().Format(time.RFC3339),
				v.Until.UTC().Format(time.RFC3339))}
	case !v.Lasts(now, orgca.LongestAgent):
		return Check{"validity", "warning", left + ": agents' certificates end then, even if a longer validity is requested"}
	}
	return Check{"validity", "passed", left}
}

func keyKind(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "EC " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	}
	return cert.PublicKeyAlgorithm.String()
}
