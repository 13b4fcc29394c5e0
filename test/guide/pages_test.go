package guide

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// says is what the blocks of each document print, in this order. A block that fails ends the test.
var says = map[string][]string{
	"README.md": {
		`"token_type":"Bearer"`, `"token_type":"Bearer"`, `the old certificate is refused`, `"generation": 2`,
		`so is every certificate of the old CA`,
	},
	"shared/OPERATING.md": {
		`"token_type":"Bearer"`, `"at_once"`, `"fingerprint"`, `"seen": \d`, `"token_type":"Bearer"`, // certificate; Org CA
		`"by": "admin:`, `"state": "running"`, // scheduled; in waves
		`"token_type":"Bearer"`,                                   // BYOCA
		`"token_type":"Bearer"`, `the old certificate is refused`, // renewal
		`secretsmanager`,                                        // hygiene
		`msg=renewed`, `msg=end tokens=\d+ failed=0 renewals=1`, // an agent to look at
	},
	"shared/audit/README.md": {`(?m)^OK `, `(?m)^OK `},
}

// The blocks of each document, from top to bottom, in one shell that ends at the first failure. One Mastio takes all
// documents, one after the other.
func TestPages(t *testing.T) {
	if deploymentFile() != "" {
		t.Skip("not on LocalStack: the guide itself runs there")
	}
	all, folder := pages(t), start(t)
	follow(t, folder, "README.md", all["README.md"])
	sh(t, folder, blocksOf(all["shared/upload/README.md"])[0].text) // the Org CA that the next page speaks of
	operating := all["shared/OPERATING.md"]
	follow(t, folder, "shared/OPERATING.md", operating)
	functions := "```sh\n" + blocksOf(operating)[0].text + "```\n" // which the auditor's page uses
	follow(t, folder, "shared/audit/README.md", functions+all["shared/audit/README.md"])
	sh(t, folder, deactivate)
	firstAgentOfADeployment(t, folder, all["infra/README.md"])
}

// follow runs a document's blocks, and checks what they print and what they leave.
func follow(t *testing.T, folder, path, text string) {
	t.Helper()
	out := sh(t, folder, script(t, path, text))
	rest := out
	for _, want := range says[path] {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Errorf("%s: behind what came before it, its blocks do not print %q", path, want)
			continue
		}
		rest = rest[at[1]:]
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "-----BEGIN ") {
			t.Errorf("%s leaves %s, which begins with %.20q (%v)", path, filepath.Base(file), b, err)
		}
	}
}

// preamble stands for the project's folder, which the commands are typed in: go run builds there and runs here.
const preamble = `
go() {
  [ "$1" = run ] || { command go "$@"; return; }
  local program="$PWD/bin/$(basename "$2")"
  command go build -C "$PROJECT" -o "$program" "$2" || return
  shift 2
  if [ -n "${BEHIND-}" ]; then exec "$program" "$@"; fi
  "$program" "$@"
}
`

// epilogue shows that the page's function keeps nothing of a refusal.
const epilogue = `
printf '{"code": "agent_not_found"}' > refusal.json
for kept in *.pem; do cp "$kept" "$kept.before"; done
if keep refusal.json first; then echo "a refusal was kept"; exit 1; fi
for kept in *.pem; do cmp "$kept" "$kept.before"; rm "$kept.before"; done
`

// script is what a reader types who follows a document. A block of an agent runs in another shell until the agent has
// followed what the next block does.
func script(t *testing.T, path, text string) string {
	t.Helper()
	project, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "PROJECT=%q\n%s", project, preamble)
	awaited := ""
	for _, block := range blocksOf(text) {
		if _, why := reason(path, block); why != "" || !strings.HasPrefix(block.info, "sh") {
			continue
		}
		fmt.Fprintf(&b, "echo '== %s:%d'\n", path, block.line)
		if block.info == "sh agent" {
			fmt.Fprintf(&b, "( BEHIND=1\n%s) > agent.log 2>&1 & agent=$!\n%s\n", block.text, untilLogged("msg=token"))
			awaited = untilLogged("msg=renewed") + "\nkill -TERM \"$agent\"; wait \"$agent\"; cat agent.log\n"
			continue
		}
		b.WriteString(block.text + awaited)
		awaited = ""
	}
	b.WriteString(epilogue)
	return b.String()
}

func untilLogged(words string) string {
	return "timeout 100 grep -m1 -q '" + words + "' <(tail -n +1 -F agent.log 2>/dev/null)"
}

// aws stands in for the AWS command line: what it answers is all that the block asks it.
const aws = `#!/bin/sh
case "$*" in
  *AdminSecretArn*) echo arn:aws:secretsmanager:eu-central-1:111111111111:secret:admin ;;
  *"get-secret-value --secret-id arn:aws:secretsmanager:eu-central-1:111111111111:secret:admin"*)
    grep ^MCP_PROXY_ADMIN_SECRET proxy.env | cut -d= -f2 ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
`

// deactivate makes the agent's next enrolment a new one, as on a first deployment. Hygiene has delivered the agent a
// certificate under the current Org CA by now, or is about to, and a plain enrolment replaces none that counts.
const deactivate = admin + `curl --fail-with-body -sSk -X DELETE -H "X-Admin-Secret: $ADMIN_SECRET" ` +
	`"$MASTIO/v1/admin/agents/orga::kyc-screener"`

// firstAgentOfADeployment runs the last block of a first deployment, with the deployment's two hosts led to this
// machine.
func firstAgentOfADeployment(t *testing.T, folder, document string) {
	t.Helper()
	var text string
	for _, b := range blocksOf(document) {
		if strings.HasPrefix(b.text, `MASTIO="https://mastio.`) {
			text = b.text
		}
	}
	hosts := "insecure\nconnect-to = \"mastio.acme.example:443:localhost:" + port +
		"\"\nconnect-to = \"agents.acme.example:443:localhost:" + port + "\"\n"
	for name, content := range map[string]string{"aws": aws, ".curlrc": hosts} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if out := sh(t, folder, "PATH=\"$PWD:$PATH\"; export CURL_HOME=\"$PWD\"\n"+text); !strings.Contains(out,
		`"token_type":"Bearer"`) {
		t.Errorf("the block ends with %s, want a token", out)
	}
}
