package dpop

import (
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"https://a.example", "https://a.example/"},
		{"https://a.example/", "https://a.example/"},
		{"HTTPS://A.Example/Path", "https://a.example/Path"},
		{"https://a.example:443/x", "https://a.example/x"},
		{"https://a.example:/x", "https://a.example/x"},
		{"https://a.example:80/x", "https://a.example:80/x"},
		{"http://a.example:80/x", "http://a.example/x"},
		{"https://localhost:9443/x", "https://localhost:9443/x"},
		{"https://[::1]:443/x", "https://[::1]/x"},
		{"https://[2001:DB8::443]/x", "https://[2001:db8::443]/x"},
		{"https://a.example/x?y=z", "https://a.example/x"},
		{"https://a.example/x#y?z", "https://a.example/x"},
		{"https://a.example?y", "https://a.example/"},
		{"https://a.example/a/./b/../c", "https://a.example/a/c"},
		{"https://a.example/a/..", "https://a.example/"},
		{"https://a.example/a/b/.", "https://a.example/a/b/"},
		{"https://a.example/a/b/..", "https://a.example/a/"},
		{"https://a.example/../../a", "https://a.example/a"},
		{"https://a.example//a//", "https://a.example//a//"},
		{"https://a.example/%7e%41%2d%2E", "https://a.example/~A-."},
		{"https://a.example/a/%2e%2E/b", "https://a.example/b"},
		{"https://a.example/a%2fb%3f", "https://a.example/a%2Fb%3F"},
		{"https://a.example/%c3%a9", "https://a.example/%C3%A9"},
		{"https://a.example/%25%34%31", "https://a.example/%2541"},
		{"https://a.example/registry/agents/acme::bot", "https://a.example/registry/agents/acme::bot"},
	} {
		got, err := normalise(tc.in)
		if err != nil || got != tc.want {
			t.Errorf("normalise(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
}

func TestNormaliseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "/", "x", "a.example/x", "//a.example/x", "https:", "https://", "https:///x", "https://:443/",
		"https:a.example/x", "https:/x",
		"ftp://a.example/x", "javascript:x", "https://u@a.example/", "https://u:p@a.example/", "https://a.example/%",
		"https://a.example/%4", "https://a.example/%zz",
		"https://a.example:port/", "https://a.example/\n", "https://a b/", "https://[::1/", "?https://a.example/",
		"https://a%25/", "https://%c3%a9.example/", "https://é.example/", "https://[fe80::1%25eth0]/",
		"https://a.example,b.example/",
	} {
		if got, err := normalise(in); err == nil {
			t.Errorf("normalise(%q) = %q, want an error", in, got)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"https://a.example/%7e/../x?y#z", "HTTP://A:80", "https://[::1]:443/%2e%2e//",
		"https://a/%25%34%31"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, err := normalise(raw)
		if err != nil {
			return
		}
		twice, err := normalise(once)
		if err != nil || once != twice {
			t.Fatalf("%q normalises to %q, and that to %q, %v", raw, once, twice, err)
		}
		_, rest, _ := strings.Cut(once, "://")
		_, path, _ := strings.Cut(rest, "/")
		for _, segment := range strings.Split(path, "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "?#") {
				t.Fatalf("%q normalises to %q", raw, once)
			}
		}
	})
}
