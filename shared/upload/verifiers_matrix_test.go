package upload_test

import (
	"crypto"
	"crypto/x509"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/upload"
	"github.com/mastio-aws/mastio/test/pkitest"
)

var (
	shapes = flag.Int("shapes", 0, "how many accepted uploads TestGeneratedUploadsVerify makes; 0: 40, with -short 8")
	flips  = flag.Int("flips", 0, "in so many of a hundred certificates one octet is changed before they are signed")
	seed   = flag.Uint64("seed", 0, "of the generator; 0: a new one, which is printed")
)

// trialsOf issues a client certificate under an accepted upload, and one under the CA that follows it in a rotation,
// and asks for both of them alone and with the overlap's bundle.pem. The CA that follows has the same subject, the
// worst case that is let in.
func trialsOf(t *testing.T, shape string, m upload.Material, now time.Time) []trial {
	t.Helper()
	old := generationOf(t, 1, m, now)
	ca := found(t, "next", p256(t, "next"), nil, aroundNow(now), func(f *form) {
		f.subject, f.serial = m.Chain[0].RawSubject, []byte{0x22, 3, 4, 5, 6, 7, 8, 9}
	})
	cert, err := x509.ParseCertificate(ca.der)
	if err != nil {
		t.Fatal(err)
	}
	next := generationOf(t, 2, upload.Material{Chain: []*x509.Certificate{cert}, Key: ca.key}, now)
	var bundle []*x509.Certificate
	for _, der := range orgca.TrustBundle([]orgca.Generation{old.generation, next.generation}) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		bundle = append(bundle, c)
	}
	last := len(old.chain) - 1
	warnings := upload.Warnings(append([][]byte{old.generation.Root}, old.generation.Above...))
	return []trial{
		{shape, "alone", old.chain[last:], old.chain[:last], warnings},
		{shape, "in an overlap, of the old CA", bundle, old.chain[:min(2, last)], warnings},
		{shape, "in an overlap, of the new CA", bundle, next.chain[:2], nil},
	}
}

type trialGeneration struct {
	generation orgca.Generation
	chain      []*x509.Certificate // a client certificate, and what is above it up to the root
}

func generationOf(t *testing.T, number int64, m upload.Material, now time.Time) trialGeneration {
	t.Helper()
	g := orgca.Generation{Number: number, State: orgca.Current, Root: m.Chain[0].Raw}
	for _, above := range m.Chain[1:] {
		g.Above = append(g.Above, above.Raw)
	}
	issuer := pki.Authority{Chain: m.Chain, Key: m.Key}
	if !m.Legacy {
		issuer = pkitest.Issuing(t, issuer, "acme", number, now)
		g.Issuing = issuer.Chain[0].Raw
	}
	leaf, _ := pkitest.Agent(t, issuer, "acme::a", now)
	return trialGeneration{g, append([]*x509.Certificate{leaf}, issuer.Chain...)}
}

// matrix runs trials through every verifier and prints how many it took.
func matrix(t *testing.T, trials []trial, at time.Time) (refusals map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	var list strings.Builder
	for i, c := range trials {
		roots, chain := c.write(t, dir, i)
		fmt.Fprintf(&list, "%d\t%s\t%s\n", i, roots, chain)
	}
	put(t, filepath.Join(dir, "list"), []byte(list.String()))
	if err := os.Mkdir(filepath.Join(dir, "nss"), 0o700); err != nil {
		t.Fatal(err)
	}
	// vfychain says what is wrong
	_ = exec.CommandContext(t.Context(), "certutil", "-N", "--empty-password", "-d", filepath.Join(dir, "nss")).Run()
	refusals = map[string]bool{}
	for _, v := range verifiers() {
		t.Run(v.name, func(t *testing.T) {
			if why := v.setup(); why != "" {
				if os.Getenv("CI") != "" {
					t.Fatal(why)
				}
				t.Skip(why)
			}
			if note := v.versionNote(t); note != "" {
				t.Log(note)
			}
			start := time.Now()
			taken, expected := 0, 0
			for i, said := range v.run(t, dir, trials, at) {
				switch {
				case said == "ok":
					taken++
				case slices.ContainsFunc(trials[i].warnings, func(w upload.Warning) bool { return w.Verifier == v.name }):
					expected++
					for _, w := range trials[i].warnings {
						refusals[w.Verifier+": "+w.Detail] = true
					}
				default:
					t.Errorf("%s, %s: %.300s", trials[i].shape, trials[i].with, said)
				}
			}
			t.Logf("%-18s %4d chains, %4d verify, %d refused by a policy of its own that the pre-flight warns of (%.1fs)",
				v.name, len(trials), taken, expected, time.Since(start).Seconds())
		})
	}
	return refusals
}

// Every accepted shape of the table, alone and in an overlap.
func TestAcceptedUploadsVerify(t *testing.T) {
	var trials []trial
	for _, u := range uploads(t) {
		if len(u.codes) > 0 {
			continue
		}
		m, err := upload.Read(u.certs, u.key, u.policy)
		if err != nil {
			t.Errorf("%s: %v", u.name, err)
			continue
		}
		trials = append(trials, trialsOf(t, u.name, m, noon)...)
	}
	for _, a := range adoptions(t, noon) {
		var file []byte
		for _, p := range a.upload {
			file = append(file, p.pem()...)
		}
		m, err := upload.Read(file, pkcs8(t, a.upload[0].key), upload.Policy{Now: noon, Legacy: a.legacy})
		if err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		trials = append(trials, trialsOf(t, a.name, m, noon)...)
	}
	refusals := matrix(t, trials, noon.Add(time.Minute))
	warned := map[string]bool{}
	for _, c := range trials {
		for _, w := range c.warnings {
			warned[w.Verifier+": "+w.Detail] = true
		}
	}
	if len(warned) != upload.Policies() {
		t.Errorf("the table has uploads for %d of the %d warnings", len(warned), upload.Policies())
	}
	for w := range warned {
		if !refusals[w] && present(w) {
			t.Errorf("no verifier refuses what the pre-flight warns of: %s", w)
		}
	}
}

// present reports whether the verifier of a warning is there.
func present(warning string) bool {
	return slices.ContainsFunc(verifiers(),
		func(v verifier) bool { return strings.HasPrefix(warning, v.name+": ") && v.setup() == "" })
}

// What is accepted of a generator's uploads, all verifiers accept. -args -shapes=N -seed=S makes more, or the same
// again.
func TestGeneratedUploadsVerify(t *testing.T) {
	if *shapes == 0 {
		if *shapes = 40; testing.Short() {
			*shapes = 8
		}
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d, %d shapes", *seed, *shapes)
	g := generator{t, rand.New(rand.NewPCG(*seed, 1))}
	var trials []trial
	refused := map[string]int{}
	for made := 0; made < *shapes; {
		path, key := g.upload()
		var file []byte
		for _, p := range path {
			file = append(file, p.pem()...)
		}
		m, err := upload.Read(file, pkcs8(t, key), upload.Policy{Now: noon})
		if err != nil {
			refused[reasonOf(defectsOf(t, err)[0].Detail)]++
			continue
		}
		made++
		trials = append(trials, trialsOf(t, fmt.Sprintf("seed %d, shape %d (chain of %d)", *seed, made, len(path)), m,
			noon)...)
	}
	t.Logf("refused on the way: %v", refused)
	matrix(t, trials, noon.Add(time.Minute))
}

// reasonOf is a detail without the names in it.
func reasonOf(detail string) string {
	if _, after, ok := strings.Cut(detail, "): "); ok {
		return after
	}
	return detail
}

// What ca_ski_reused refuses does lock agents out: this is why it does.
func TestOpenSSLTakesTheWrongOfTwoCAsWithOneIdentifier(t *testing.T) {
	if why := missing("openssl", "")(); why != "" {
		t.Skip(why)
	}
	same := func(key crypto.Signer, serial byte) upload.Material {
		ca := found(t, "acme Org CA", key, nil, func(f *form) { f.serial = []byte{serial} })
		cert, err := x509.ParseCertificate(ca.der)
		if err != nil {
			t.Fatal(err)
		}
		return upload.Material{Chain: []*x509.Certificate{cert}, Key: key}
	}
	old, next := generationOf(t, 1, same(p256(t, "old"), 1), noon), generationOf(t, 2, same(p256(t, "ca"), 2), noon)
	bundle := []*x509.Certificate{next.chain[2], next.chain[1], old.chain[2], old.chain[1]}
	dir, refused := t.TempDir(), 0
	for i, g := range []trialGeneration{old, next} {
		c := trial{roots: bundle, chain: g.chain[:2]}
		roots, chain := c.write(t, dir, i)
		if said := runOpenSSL(t, roots, chain, c, noon.Add(time.Minute)); said != "ok" {
			refused++
		}
	}
	if refused == 0 {
		t.Error("both verify: the rule has lost its reason")
	}
}
