package verifier

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/jose"
)

// document is a status with everything in it.
func document() Document {
	return Document{
		Issuer:      issuer,
		IssuedAt:    now,
		Seq:         1_799_999_000,
		MaxAge:      StatusMaxAge,
		Generations: []int64{4, 5},
		NotBefore:   now.Add(-time.Hour),
		Dead: []Entry{
			{Handle: "5qPmGHHZYI_EelBV9B7KOA", NotBefore: now.Add(time.Hour)},
			{X5T: "h1kTbTS0bm04YcY3TdAmgURkmoThEss55dpjxaVKB0s", NotBefore: now.Add(2 * time.Second)},
		},
	}
}

func (s scene) keys(kid string) *ecdsa.PublicKey { return s.rules().Keys(kid) }

// signed is any payload, signed as a status.
func (s scene) signed(t testing.TB, typ, kid string, payload any) string {
	t.Helper()
	text, err := jose.SignLimited(typ, kid, payload, s.day, 2*StatusSize)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDocumentIsRead(t *testing.T) {
	s, _ := newScene(t)
	full := document()
	for i := range StatusEntries - len(full.Dead) {
		full.Dead = append(full.Dead, Entry{X5T: fmt.Sprintf("%043d", i), NotBefore: now})
	}
	for name, d := range map[string]Document{
		"everything": document(),
		"nothing": {
			Issuer:      issuer,
			IssuedAt:    now,
			Seq:         1,
			MaxAge:      time.Second,
			Generations: []int64{},
			Dead:        []Entry{},
		},
		"as many entries as there may be": full,
	} {
		compact, err := d.Sign("day", s.day)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := ReadStatus(compact, s.keys)
		if err != nil || got.Digest() != d.Digest() {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(d.payload(), got.payload()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The form that is published, member by member.
func TestFormOfTheDocument(t *testing.T) {
	s, _ := newScene(t)
	compact, err := document().Sign("day", s.day)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(compact, ".")
	body, _, _ := strings.Cut(rest, ".")
	for part, want := range map[string]string{
		head: `{"alg":"ES256","kid":"day","typ":"mastio-status+jwt"}`,
		body: `{"iss":"https://agents.mastio.example","iat":1800000000,"seq":1799999000,"max_age":300,"generations":[4,5],` +
			`"not_before":1799996400,"dead":[{"handle":"5qPmGHHZYI_EelBV9B7KOA","not_before":1800003600},` +
			`{"x5t#S256":"h1kTbTS0bm04YcY3TdAmgURkmoThEss55dpjxaVKB0s","not_before":1800000002}]}`,
	} {
		if got, err := jose.Decode(part); err != nil || string(got) != want {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	}
}

func TestDigest(t *testing.T) {
	same := document()
	same.IssuedAt, same.Seq = now.Add(time.Minute), same.Seq+1
	same.Generations = []int64{5, 4}
	same.Dead = []Entry{same.Dead[1], same.Dead[0]}
	if same.Digest() != document().Digest() {
		t.Error("iat, seq or the order of entries changes the digest")
	}
	for name, change := range map[string]func(*Document){
		"issuer":      func(d *Document) { d.Issuer += "x" },
		"max_age":     func(d *Document) { d.MaxAge += time.Second },
		"generations": func(d *Document) { d.Generations = []int64{5} },
		"not_before":  func(d *Document) { d.NotBefore = time.Time{} },
		"an entry":    func(d *Document) { d.Dead = d.Dead[:1] },
		"its date":    func(d *Document) { d.Dead[0].NotBefore = now },
		"its name":    func(d *Document) { d.Dead[0].Handle = "x" },
	} {
		d := document()
		if change(&d); d.Digest() == document().Digest() {
			t.Errorf("%s does not change the digest", name)
		}
	}
}

func TestDocumentRefused(t *testing.T) {
	s, _ := newScene(t)
	entry := func(e string) string { return strings.Replace(plain, `"dead":[]`, `"dead":[`+e+`]`, 1) }
	with := func(old, replaced string) string { return strings.Replace(plain, old, replaced, 1) }
	doc := func(payload string) string { return s.signed(t, StatusType, "day", raw(payload)) }
	good := doc(plain)
	if _, err := ReadStatus(good, s.keys); err != nil {
		t.Fatal(err)
	}
	other := scene{day: newKey(t)}
	for name, c := range map[string]struct{ compact, reason string }{
		"nothing":               {"", "parts"},
		"unsigned":              {good[:strings.LastIndexByte(good, '.')+1], "signature of 0 bytes"},
		"of another key":        {other.signed(t, StatusType, "day", raw(plain)), "does not verify"},
		"of an unknown key":     {s.signed(t, StatusType, "night", raw(plain)), "kid is unknown"},
		"of no key":             {s.signed(t, StatusType, "", raw(plain)), "kid is missing"},
		"a token":               {s.token(t, "", nil), "typ is not"},
		"typ with its tree":     {s.signed(t, "application/"+StatusType, "day", raw(plain)), "typ is not"},
		"too long":              {doc(with(`}`, `,"x":"`+strings.Repeat("x", StatusSize)+`"}`)), "longer"},
		"a member twice":        {doc(with(`"seq":1`, `"seq":1,"seq":2`)), "duplicate"},
		"no iss":                {doc(with(`"iss"`, `"x"`)), "iss is missing"},
		"no iat":                {doc(with(`"iat"`, `"x"`)), "iat is missing"},
		"no seq":                {doc(with(`"seq"`, `"x"`)), "seq is not positive"},
		"seq text":              {doc(with(`"seq":1`, `"seq":"1"`)), "seq is not an integer"},
		"no max_age":            {doc(with(`"max_age"`, `"x"`)), "max_age"},
		"max_age of a day":      {doc(with(`300`, `86400`)), "max_age"},
		"no generations":        {doc(with(`"generations"`, `"x"`)), "generations"},
		"no dead":               {doc(with(`"dead"`, `"x"`)), "dead"},
		"dead null":             {doc(with(`"dead":[]`, `"dead":null`)), "dead"},
		"an entry null":         {doc(entry(`null`)), "entry"},
		"an entry without name": {doc(entry(`{"not_before":1}`)), "entry"},
		"an entry of two names": {doc(entry(`{"x5t#S256":"a","handle":"b","not_before":1}`)), "entry"},
		"an entry without date": {doc(entry(`{"handle":"b"}`)), "entry"},
		"a member of it twice":  {doc(entry(`{"handle":"a","handle":"b","not_before":1}`)), "duplicate"},
		"more entries than 2000": {doc(entry(strings.Repeat(`{"handle":"b","not_before":1},`, 2000) +
			`{"handle":"b","not_before":1}`)), "entries"},
	} {
		d, err := ReadStatus(c.compact, s.keys)
		if !errors.Is(err, ErrStatus) || !strings.Contains(fmt.Sprint(err), c.reason) || d.Seq != 0 {
			t.Errorf("%s: %+v, error %v, want ErrStatus for %q", name, d, err, c.reason)
		}
	}
	d := document()
	if d.Dead[0].X5T = "both"; d.check() == nil {
		t.Error("a document is signed that would not be read")
	}
}

const plain = `{"iss":"https://agents.mastio.example","iat":1800000000,"seq":1,"max_age":300,"generations":[1],` +
	`"dead":[]}`

// raw is a payload as it is written, duplicates and all.
type raw string

// MarshalJSON returns the text.
func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func FuzzReadStatus(f *testing.F) {
	s, _ := newScene(f)
	for _, seed := range []string{plain, `{}`, `{"dead":[{"handle":"a","not_before":1e300}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		compact, err := jose.SignLimited(StatusType, "day", raw(payload), s.day, StatusSize)
		if err != nil {
			return
		}
		d, err := ReadStatus(compact, s.keys)
		if err != nil {
			return
		}
		again, err := d.Sign("day", s.day)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := ReadStatus(again, s.keys); err != nil || back.Digest() != d.Digest() {
			t.Fatalf("read again: %+v, %v, want %+v", back, err, d)
		}
	})
}
