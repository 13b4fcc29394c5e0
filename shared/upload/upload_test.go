package upload_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/upload"
)

var update = flag.Bool("update", false, "write testdata/uploads.golden anew")

func pemOf(text []byte) *pem.Block {
	b, _ := pem.Decode(text)
	return b
}

// Every upload gets exactly its codes, and what is accepted is usable.
func TestRead(t *testing.T) {
	var golden strings.Builder
	all := uploads(t)
	seen := map[string]bool{}
	for _, u := range all {
		if seen[u.name] {
			t.Errorf("two cases are called %q", u.name)
		}
		seen[u.name] = true
		t.Run(u.name, func(t *testing.T) {
			m, err := upload.Read(u.certs, u.key, u.policy)
			defects := defectsOf(t, err)
			if got, want := words(codesOf(defects)), words(inOrder(u.codes)); got != want {
				t.Errorf("codes = %q, want %q\n%v", got, want, defects)
			}
			if err == nil {
				checkMaterial(t, m, u)
			} else if m.Chain != nil || m.Key != nil {
				t.Errorf("refused, and yet there is material: %v", m)
			}
			fmt.Fprintf(&golden, "%s → %s\n", u.name, outcome(m, defects))
			for _, d := range defects {
				fmt.Fprintf(&golden, "    %s: %s\n", d.Code, d.Detail)
			}
		})
	}
	if len(all) < 60 {
		t.Errorf("%d cases", len(all))
	}
	compareGolden(t, golden.String())
}

func outcome(m upload.Material, defects []upload.Defect) string {
	switch {
	case len(defects) > 0:
		return words(codesOf(defects))
	case m.Legacy:
		return fmt.Sprintf("accepted, legacy, chain of %d", len(m.Chain))
	}
	return fmt.Sprintf("accepted, chain of %d", len(m.Chain))
}

func compareGolden(t *testing.T, got string) {
	t.Helper()
	file := filepath.Join("testdata", "uploads.golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update writes it anew:\n%s", file, diff)
	}
}

// defectsOf returns a refusal's defects, none for no error. Any other error is a failure.
func defectsOf(t testing.TB, err error) []upload.Defect {
	t.Helper()
	if err == nil {
		return nil
	}
	r := problem.Of(err)
	if !errors.Is(err, upload.ErrRefused) || len(r.Errors) == 0 || r.Code != r.Errors[0].Code {
		t.Fatalf("err = %v, want ErrRefused with defects", err)
	}
	for i, d := range r.Errors {
		if !slices.Contains(upload.Codes(), d.Code) || d.Detail == "" || len(d.Detail) > 600 ||
			strings.ContainsAny(d.Detail, "\r\n\x00") {
			t.Errorf("defect %d = %q", i, d)
		}
		if slices.Index(r.Errors, d) != i {
			t.Errorf("twice: %v", d)
		}
	}
	if !slices.Equal(codesOf(r.Errors), inOrder(codesOf(r.Errors))) {
		t.Errorf("not in order: %v", r.Errors)
	}
	return r.Errors
}

func checkMaterial(t *testing.T, m upload.Material, u sample) {
	t.Helper()
	if !pki.SameKey(m.Chain[0].PublicKey, m.Key.Public()) {
		t.Error("the first certificate is not the key's")
	}
	if err := pki.VerifyAuthority(m.Chain, u.policy.Now); err != nil {
		t.Error(err)
	}
	if m.Legacy != pki.LegacyPathLenZero(m.Chain[0]) {
		t.Errorf("legacy = %t", m.Legacy)
	}
	m.Zero()
	if m.Key != nil {
		t.Error("the key is still there")
	}
}

// Reading is a function of the files and the policy, down to the words, and changes neither file.
func TestReadIsDeterministic(t *testing.T) {
	for _, u := range uploads(t) {
		certs, key := bytes.Clone(u.certs), bytes.Clone(u.key)
		_, first := upload.Read(u.certs, u.key, u.policy)
		for range 3 {
			if _, again := upload.Read(u.certs, u.key, u.policy); fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("%s: %v, then %v", u.name, first, again)
			}
		}
		if !bytes.Equal(certs, u.certs) || !bytes.Equal(key, u.key) {
			t.Errorf("%s: a file was changed", u.name)
		}
	}
}

func TestReadKey(t *testing.T) {
	key := p256(t, "ca")
	for _, file := range [][]byte{pkcs8(t, key), sec1(t, key), sec1DER(t, key)} {
		m, err := upload.ReadKey(file)
		if err != nil || m.Chain != nil || !pki.SameKey(m.Key.Public(), key.Public()) {
			t.Errorf("material %v, %v", m.Chain, err)
		}
	}
	for code, file := range map[upload.Code][]byte{
		upload.KeyEncrypted: legacyEncrypted(t, key), upload.KeyUnparseable: found(t, "acme root", key, nil).pem(),
		upload.TrailingData: append(pkcs8DER(t, key), 0),
	} {
		m, err := upload.ReadKey(file)
		if got := codesOf(defectsOf(t, err)); !slices.Equal(got, []upload.Code{code}) || m.Key != nil {
			t.Errorf("codes %v, want %s", got, code)
		}
	}
	if _, err := upload.ReadKey(make([]byte, 65<<10)); err == nil {
		t.Error("65 KiB are read")
	}
}

// A file that is made to have many defects is answered in one page.
func TestDefectsAreBounded(t *testing.T) {
	many := bytes.Repeat([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), 1000)
	_, err := upload.Read(many, pkcs8(t, p256(t, "ca")), upload.Policy{Now: noon})
	defects := defectsOf(t, err)
	if last := defects[len(defects)-1].Detail; len(defects) > 40 || !strings.Contains(last, "more are not listed") ||
		len(err.Error()) > 8<<10 {
		t.Errorf("%d defects, %d octets, the last: %s", len(defects), len(err.Error()), last)
	}
}
