package main

import (
	"slices"
	"strings"
	"testing"
)

// An installation that works passes every step, and what the questions were asked with is gone afterwards.
func TestWorkingInstallation(t *testing.T) {
	a := recorded(t, serveMastio(t, &mastio{t: t}))
	status, out := smoke(t, a, "-rotate-ca")
	if status != exitWorks || strings.Contains(out, "FAIL") || strings.Contains(out, "skip ") {
		t.Errorf("status %d:\n%s", status, out)
	}
	for _, says := range []string{
		"acme: agents at https://", "401 Certificate has been revoked", "agent.cert_rotated",
		"IAM judges each item separately",
		"first map[NotFoundException:true]",
		"first map[KMSInvalidStateException:true]", "mastio-acme-failed-events was published",
		"401 with WWW-Authenticate", "1 lines as they were written", "octets for a token",
		"27 passed, 0 failed, 0 skipped",
	} {
		if !strings.Contains(out, says) {
			t.Errorf("no %q in:\n%s", says, out)
		}
	}
	for _, op := range []string{"DeleteTable", "DeleteRole", "DeleteRolePolicy", "ScheduleKeyDeletion"} {
		if !slices.Contains(a.asked, op) {
			t.Errorf("%s was not asked for", op)
		}
	}
}

// What does not work is said, with where to look; the steps behind it are taken all the same, or say why not.
func TestWhatDoesNotWork(t *testing.T) {
	for deaf, says := range map[string][]string{
		"GET /healthz":      {"FAIL  health ", "aws logs tail /aws/lambda/mastio-acme-healthz"},
		"GET /proxy":        {"FAIL  dashboard ", "mastio-acme-dashboard"},
		"GET /proxy/assets": {"FAIL  dashboard ", "/proxy/assets/app.css"},
		"POST /v1/admin/agents": {"FAIL  enrol an agent ", "broken on purpose", "skip  token ",
			"skip  deactivate the agent"},
		"POST /v1/auth/token":     {"FAIL  token ", "mastio-acme-token", "FAIL  the old certificate is refused"},
		"POST /registry/agents/":  {"FAIL  rotate its certificate", "mastio-acme-rotatecert"},
		"GET /v1/admin/audit":     {"FAIL  the rotation is on record", "mastio-acme-audit"},
		"GET /pki/rotate-ca":      {"FAIL  standby and truststore", "mastio-acme-standby"},
		"DELETE /v1/admin/agents": {"FAIL  deactivate the agent", "mastio-acme-enroll"},
	} {
		t.Run(deaf, func(t *testing.T) {
			status, out := smoke(t, recorded(t, serveMastio(t, &mastio{t: t, deaf: deaf})), "-questions=false")
			if status != exitWrong {
				t.Errorf("status %d", status)
			}
			for _, s := range says {
				if !strings.Contains(out, s) {
					t.Errorf("no %q in:\n%s", s, out)
				}
			}
		})
	}
}

// What AWS answers otherwise than it should fails, and what our credentials may not ask is no fault of the
// installation.
func TestQuestions(t *testing.T) {
	denied := always(400, `{"__type":"AccessDeniedException","message":"not authorized"}`)
	for name, tt := range map[string]struct {
		op     string
		answer func(string) (int, string)
		says   string
		status int
	}{
		"all keys at once": {"TransactWriteItems", func(body string) (int, string) {
			if strings.Contains(body, "A#2") {
				return 400, `{"__type":"AccessDeniedException","message":"no"}`
			}
			return 200, `{}`
		}, "IAM judges the keys of all items together", exitWorks},
		"a transaction that breaks": {"TransactWriteItems", func(body string) (int, string) {
			if strings.Contains(body, "A#2") {
				return 400, `{"__type":"ValidationException","message":"odd"}`
			}
			return 200, `{}`
		}, "FAIL  AWS: keys of one transaction", exitWrong},
		"no right to a table": {"CreateTable", denied, "skip  AWS: set up", exitWorks},
		"no right to a key":   {"CreateKey", denied, "skip  AWS: how soon", exitWorks},
		"a key that breaks": {"Sign", always(400, `{"__type":"DisabledException","message":"off"}`),
			"FAIL  AWS: how soon a new key is known", exitWrong},
		"what stays": {"DeleteTable", always(400, `{"__type":"LimitExceededException","message":"later"}`),
			"FAIL  clean-up", exitWrong},
	} {
		t.Run(name, func(t *testing.T) {
			a := recorded(t, serveMastio(t, &mastio{t: t}))
			a.answers[tt.op] = tt.answer
			if status, out := smoke(t, a); status != tt.status || !strings.Contains(out, tt.says) {
				t.Errorf("status %d, want %d and %q:\n%s", status, tt.status, tt.says, out)
			}
		})
	}
}

// One of several organisations has to be named, and one that is not there is said so.
func TestWhichInstallation(t *testing.T) {
	url := serveMastio(t, &mastio{t: t})
	a := recorded(t, url)
	a.answers["DescribeStacks"] = always(200, stacks(t, url, url, "acme", "b-corp"))
	if status, out := smoke(t, a, "-questions=false"); status != exitUsage ||
		!strings.Contains(out, "there are acme, b-corp; name one") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := smoke(t, a, "-questions=false", "-org", "b-corp"); status != exitWorks ||
		!strings.HasPrefix(out, "b-corp: ") {
		t.Errorf("%d: %s", status, out)
	}
	if status, out := smoke(t, a, "-questions=false", "-org", "other"); status != exitUsage ||
		!strings.Contains(out, "no stack mastio-other-service") {
		t.Errorf("%d: %s", status, out)
	}
	// Without a domain no host asks for a certificate: tokens are left out, and said to be.
	a.answers["DescribeStacks"] = always(200, strings.ReplaceAll(stacks(t, url, url, "acme"), "TargetName", "Other"))
	if status, out := smoke(t, a, "-questions=false"); status != exitWorks ||
		!strings.Contains(out, "there is no agentsDomain") {
		t.Errorf("%d: %s", status, out)
	}
}

// What AWS does otherwise with the agents' API is said, with where to look, or is no fault.
func TestAgentsAPI(t *testing.T) {
	const wrapped = `{"timestamp":"2026-11-24T03:00:00.000Z","level":"INFO","message":"{\"msg\":\"request\"}"}`
	for name, tt := range map[string]struct {
		m      mastio
		lines  map[string][]string // of the log and of the access log, if other than they should be
		says   []string
		status int
	}{
		"renamed": {
			m:    mastio{renamed: true},
			says: []string{"401 with X-Amzn-Remapped-Www-Authenticate"},
		},
		"no challenge": {
			m:      mastio{deaf: "GET /v1/agent/me"},
			says:   []string{"FAIL  the challenge of a resource", "me.go"},
			status: exitWrong,
		},
		"decoded twice": {
			m:      mastio{twice: true},
			says:   []string{"FAIL  a path is decoded once", "event.go, target"},
			status: exitWrong,
		},
		"no stage variable": {
			m:      mastio{hosts: "operators"},
			says:   []string{"FAIL  a path of the operators alone", "the stage variable host"},
			status: exitWrong,
		},
		"wrapped lines": {
			lines:  map[string][]string{"token": {wrapped}},
			says:   []string{"FAIL  AWS: lines of a function's log", "wrapped by Lambda", "tail /aws/lambda/mastio-acme-token"},
			status: exitWrong,
		},
		"no level": {
			lines:  map[string][]string{"token": {`{"msg":"request","timestamp":"t"}`}},
			says:   []string{"a line has no level"},
			status: exitWrong,
		},
		"not ours": {
			lines:  map[string][]string{"token": {`{"type":"platform.start"}`}},
			says:   []string{"none of 1 lines is the Mastio's"},
			status: exitWrong,
		},
		"LocalStack's lines": {
			lines: map[string][]string{"token": {"START RequestId: 1"}, "access": {}},
			says:  []string{"skip  AWS: lines of a function's log", "skip  AWS: the access log is filled"},
		},
		"unknown variables": {
			lines:  map[string][]string{"access": {`{"route":"-","status":"200"}`}},
			says:   []string{"FAIL  AWS: the access log is filled", "accesslog.go"},
			status: exitWrong,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.m.t = t
			a := recorded(t, serveMastio(t, &tt.m))
			good := a.answers["FilterLogEvents"]
			a.answers["FilterLogEvents"] = func(body string) (int, string) {
				kind := "token"
				if strings.Contains(body, "/access/") {
					kind = "access"
				}
				if lines, ok := tt.lines[kind]; ok {
					return 200, events(lines...)
				}
				return good(body)
			}
			status, out := smoke(t, a)
			if status != tt.status {
				t.Errorf("status %d, want %d:\n%s", status, tt.status, out)
			}
			for _, s := range tt.says {
				if !strings.Contains(out, s) {
					t.Errorf("no %q in:\n%s", s, out)
				}
			}
		})
	}
}
