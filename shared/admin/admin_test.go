package admin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/session"
)

func TestSplit(t *testing.T) {
	for shown, want := range map[string][2]string{
		"alice:s": {"alice", "s"}, "a.b_c-9:x:y": {"a.b_c-9", "x:y"},
		strings.Repeat("a", 31) + ":s": {strings.Repeat("a", 31), "s"},
		strings.Repeat("a", 32) + ":s": {}, "alice": {}, "alice:": {}, ":s": {}, "": {}, "Alice:s": {}, "9a:s": {},
		"a/b:s": {}, "a b:s": {}, "a\n:s": {}, "../a:s": {}, "arn:s": {"arn", "s"}, "a*:s": {}, "é:s": {},
	} {
		name, secret, ok := admin.Split(shown)
		if name != want[0] || secret != want[1] || ok != (want[0] != "") {
			t.Errorf("%q: %q, %q, %t; want %q", shown, name, secret, ok, want)
		}
	}
}

// An admin's name is never the id of a version, which has 32 characters or more, as the audit trail names it.
func TestActorsAreApart(t *testing.T) {
	const version = "a1b2c3d4-aaaa-4bbb-8ccc-a1b2c3d4e5f6"
	if got := admin.Holder(version).Actor(); got != "admin:"+version {
		t.Errorf("the holder of the one secret is %q", got)
	}
	if got := (admin.Admin{Name: "alice", Version: version}).Actor(); got != "admin:alice" {
		t.Errorf("alice is %q", got)
	}
	if _, _, ok := admin.Split(version + ":s"); ok {
		t.Error("the id of a version passes for a name")
	}
}

func TestReadEntry(t *testing.T) {
	good := strings.Repeat("s", session.MinSecret)
	for text, role := range map[string]admin.Role{
		`{"secret":"` + good + `","role":"viewer"}`:                               admin.Viewer,
		`{"secret":"` + good + `","role":"enroller","capabilities":["kyc:read"]}`: admin.Enroller,
		`{"secret":"` + good + `","role":"enroller"}`:                             admin.Enroller,
		`{"secret":"` + good + `","role":"operator"}`:                             admin.Operator,
		` {"role":"ca-officer","secret":"` + good + `"}` + "\n":                   admin.CAOfficer,
		`{"secret":"` + good + `","role":"Viewer"}`:                               "",
		`{"secret":"` + good + `","role":""}`:                                     "",
		`{"secret":"` + good + `"}`:                                               "",
		`{"secret":"` + good[1:] + `","role":"viewer"}`:                           "",
		`{"secret":"` + strings.Repeat("s", 1025) + `","role":"viewer"}`:          "",
		`{"secret":"` + good + ` x","role":"viewer"}`:                             "",
		`{"secret":"` + good + `é","role":"viewer"}`:                              "",
		`{"role":"viewer"}`:                                                       "",
		`{"secret":"` + good + `","role":"viewer","capabilities":["kyc:read"]}`:   "",
		`{"secret":"` + good + `","role":"operator","capabilities":[]}`:           "",
		`{"secret":"` + good + `","role":"enroller","capabilities":["kyc read"]}`: "",
		`{"secret":"` + good + `","role":"viewer","more":1}`:                      "",
		`{"secret":"` + good + `","role":"viewer"}{}`:                             "",
		`"` + good + `"`: "", good: "", "": "", "null": "", "[]": "",
	} {
		e, err := admin.ReadEntry([]byte(text))
		if (err == nil) != (role != "") || err == nil && (e.Role != role || e.Secret != good) {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
		if err != nil && (!errors.Is(err, admin.ErrEntry) || strings.Contains(err.Error(), good[1:])) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRolesIncludeThoseBefore(t *testing.T) {
	all := admin.Roles()
	for has, r := range all {
		for needs, least := range all {
			if got := r.Includes(least); got != (has >= needs) {
				t.Errorf("%s includes %s: %t", r, least, got)
			}
		}
		for _, no := range []admin.Role{"", "root", "VIEWER"} {
			if r.Includes(no) || no.Includes(r) || no.Includes(no) {
				t.Errorf("the role %q and %s: default deny", no, r)
			}
		}
	}
}

// The refusal names the roles that may.
func TestPermitSaysWhoMay(t *testing.T) {
	err := admin.Viewer.Permit(admin.Operator)
	p := problem.Of(err)
	if !errors.Is(err, admin.ErrRole) || p.Status != 403 || p.Code != "role_insufficient" ||
		!strings.Contains(p.Detail, "operator, or ca-officer") || !strings.Contains(p.Detail, "viewer") {
		t.Errorf("%v: %+v", err, p)
	}
	if err := admin.Operator.Permit(admin.Operator); err != nil {
		t.Error(err)
	}
	if err := admin.CAOfficer.Permit(""); !errors.Is(err, admin.ErrRole) {
		t.Errorf("what is in no table: %v", err)
	}
}

func TestLimit(t *testing.T) {
	for _, r := range []admin.Role{admin.Operator, admin.CAOfficer} {
		if l := (admin.Admin{Role: r}).Limit(); l != nil || l.Allow(false, []string{"any"}) != nil {
			t.Errorf("%s is limited: %+v", r, l)
		}
	}
	l := admin.Admin{Role: admin.Enroller, Capabilities: []string{"kyc:read", "kyc:write"}}.Limit()
	for _, c := range []struct {
		isNew        bool
		capabilities []string
		ok           bool
	}{
		{true, nil, true}, {true, []string{"kyc:read"}, true}, {true, []string{"kyc:write", "kyc:read"}, true},
		{true, []string{"kyc:read", "pay:write"}, false}, {true, []string{"kyc"}, false}, {true, []string{"KYC:READ"}, false},
		{false, nil, false}, {false, []string{"kyc:read"}, false},
	} {
		if err := l.Allow(c.isNew, c.capabilities); (err == nil) != c.ok || err != nil && !errors.Is(err, admin.ErrRole) {
			t.Errorf("new %t, %v: %v", c.isNew, c.capabilities, err)
		}
	}
	for _, r := range []admin.Role{admin.Viewer, "", "root"} {
		if err := (admin.Admin{Role: r}).Limit().Allow(true, []string{"kyc:read"}); !errors.Is(err, admin.ErrRole) {
			t.Errorf("role %q: %v", r, err)
		}
	}
}
