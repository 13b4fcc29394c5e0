package keywrap_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/mastio-aws/mastio/localstack/aws/kms/keywrap"
)

// The two examples of RFC 5649 section 6.
func TestRFCVectors(t *testing.T) {
	const kek = "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"
	for _, v := range []struct{ name, plain, wrapped string }{
		{"20 octets", "c37b7e6492584340bed12207808941155068f738",
			"138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		{"7 octets", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		t.Run(v.name, func(t *testing.T) {
			got, err := keywrap.Wrap(unhex(t, kek), unhex(t, v.plain))
			if err != nil || !bytes.Equal(got, unhex(t, v.wrapped)) {
				t.Errorf("Wrap = %x, %v; want %s", got, err, v.wrapped)
			}
			back, err := keywrap.Unwrap(unhex(t, kek), unhex(t, v.wrapped))
			if err != nil || !bytes.Equal(back, unhex(t, v.plain)) {
				t.Errorf("Unwrap = %x, %v; want %s", back, err, v.plain)
			}
		})
	}
}

// wycheproofFile is the part of a Wycheproof key wrap file that is used here.
type wycheproofFile struct {
	NumberOfTests int
	TestGroups    []struct {
		Tests []struct {
			TCID            int `json:"tcId"`
			Comment, Result string
			Key, Msg, CT    string
		}
	}
}

func TestWycheproof(t *testing.T) {
	raw, err := fs.ReadFile(wycheproof.TestVectors, "aes_kwp_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file wycheproofFile
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, group := range file.TestGroups {
		for _, v := range group.Tests {
			ran++
			got, err := keywrap.Unwrap(unhex(t, v.Key), unhex(t, v.CT))
			switch v.Result {
			case "invalid":
				if !errors.Is(err, keywrap.ErrUnwrap) {
					t.Errorf("%d %s: Unwrap error = %v; want ErrUnwrap", v.TCID, v.Comment, err)
				}
				continue
			case "valid", "acceptable":
			default:
				t.Fatalf("%d: unknown result %q", v.TCID, v.Result)
			}
			if len(v.Msg) == 0 {
				continue // RFC 5649 section 3 starts at one octet
			}
			if err != nil || !bytes.Equal(got, unhex(t, v.Msg)) {
				t.Errorf("%d %s: Unwrap = %x, %v; want %s", v.TCID, v.Comment, got, err, v.Msg)
			}
			wrapped, err := keywrap.Wrap(unhex(t, v.Key), unhex(t, v.Msg))
			if err != nil || !bytes.Equal(wrapped, unhex(t, v.CT)) {
				t.Errorf("%d %s: Wrap = %x, %v; want %s", v.TCID, v.Comment, wrapped, err, v.CT)
			}
		}
	}
	if ran != file.NumberOfTests || ran == 0 {
		t.Errorf("ran %d vectors; the file says %d", ran, file.NumberOfTests)
	}
}

func TestRefused(t *testing.T) {
	kek := make([]byte, 32)
	if _, err := keywrap.Wrap(kek, nil); err == nil {
		t.Error("Wrap of nothing succeeded")
	}
	if _, err := keywrap.Wrap(kek[:31], []byte("x")); err == nil {
		t.Error("Wrap under a key of 31 octets succeeded")
	}
	if _, err := keywrap.Unwrap(kek[:31], make([]byte, 24)); err == nil {
		t.Error("Unwrap under a key of 31 octets succeeded")
	}
	for _, n := range []int{0, 8, 15, 17, 23} {
		if _, err := keywrap.Unwrap(kek, make([]byte, n)); !errors.Is(err, keywrap.ErrUnwrap) {
			t.Errorf("Unwrap of %d octets: error = %v; want ErrUnwrap", n, err)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	kek := bytes.Repeat([]byte{7}, 32)
	for _, n := range []int{1, 7, 8, 9, 20, 138} {
		wrapped, err := keywrap.Wrap(kek, bytes.Repeat([]byte{1}, n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wrapped)
	}
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		plain, err := keywrap.Unwrap(kek, wrapped)
		if err != nil {
			return
		}
		again, err := keywrap.Wrap(kek, plain)
		if err != nil || !bytes.Equal(again, wrapped) {
			t.Errorf("%x opens to %x, which wraps to %x (%v)", wrapped, plain, again, err)
		}
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
