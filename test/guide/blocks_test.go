package guide

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a document.
type block struct {
	line int
	info string // what stands behind the fence: a language, and perhaps a word more
	text string
}

// first is the block's first line.
func (b block) first() string {
	line, _, _ := strings.Cut(b.text, "\n")
	return line
}

// blocksOf takes a document's fenced blocks apart.
func blocksOf(text string) []block {
	var all []block
	in := false
	for i, line := range strings.Split(text, "\n") {
		fence, ok := strings.CutPrefix(line, "```")
		switch {
		case ok && in:
			in = false
		case ok:
			in = true
			all = append(all, block{line: i + 1, info: strings.TrimSpace(fence)})
		case in:
			all[len(all)-1].text += line + "\n"
		}
	}
	return all
}

// here are the documents whose blocks TestPages runs, from top to bottom.
var here = []string{"README.md", "shared/OPERATING.md", "shared/audit/README.md"}

// elsewhere says for every other block of commands or code why TestPages does not run it: by document, and by what the
// block begins with.
var elsewhere = map[string]map[string]string{
	"README.md": {
		"make run     #": "make run and make demo are started by this test as programs, and by localstack/run; make test " +
			"is CI's first step",
		"make bootstrap ": "needs an AWS account",
	},
	"shared/OPERATING.md": {
		"# create: an operator": "needs the AWS command line; TestAWSCommands knows each command, test/e2e " +
			"TestNamedAdmins does the same with the SDK",
		"scrape_configs:": "test/guide TestPrometheus scrapes as it says",
		"aws events disable-rule": "needs an AWS account; TestAWSCommands knows each command, test/e2e " +
			"TestRestoreDrill does the same on this machine",
	},
	"infra/README.md": {
		"export AWS_PROFILE=":           "needs an AWS account; TestAWSCommands knows each command",
		"make bootstrap":                "needs an AWS account",
		`AGENTS_ARN="$(aws acm request`: "needs an AWS account; TestAWSCommands knows each command",
		"export CDK_ARGS=":              "needs an AWS account; infra/mastio TestReadmeCommands knows each setting",
		"make preflight":                "needs an AWS account",
		"make deploy":                   "needs an AWS account",
		"aws cloudformation":            "needs an AWS account; TestAWSCommands knows each command",
		"make smoke":                    "needs an AWS account",
		"MASTIO=\"https://mastio.": "TestPages runs it, with a stand-in for the AWS command line; TestAWSCommands knows " +
			"each command",
		"git pull": "needs an AWS account",
		"app := ":  "infra/mastio TestReadme compiles it",
	},
	"localstack/README.md": {
		"set -a; . build/run": "shared/OPERATING.md has the same block",
		"aws dynamodb scan":   "needs the AWS command line; TestAWSCommands knows the command",
		"make run PORT=": "localstack/run TestRunTourAndRestart starts the program with --port and --data, " +
			"test/browser fills a Mastio as --demo does",
		"mkdir -p build/sec":   "test/local starts as many stacks; TestRunTourAndRestart refuses a second one in a folder",
		"make localstack-up ":  "make localstack-test, a step of CI, runs each",
		"KMS_ENDPOINT=http://": "make localstack-test, a step of CI, runs both",
	},
	"shared/upload/README.md": {
		"openssl req -x509 ":  "shared/upload TestCommandsOfTheReadme",
		"openssl req -newkey": "shared/upload TestCommandsOfTheReadme",
	},
	"shared/AGENTS.md": {
		"# enrol.py:":     "test/sdk TestSDKOfThePage",
		"# start.py:":     "test/sdk TestSDKOfThePage",
		"# agent.py:":     "test/sdk TestPrograms",
		"// agent.mjs:":   "test/sdk TestPrograms",
		"// agent.go:":    "test/sdk TestPrograms",
		"# resource.py:":  "test/sdk TestResourceServer",
		"# sync.sh:":      "test/sdk TestPrograms",
		"# synced.py:":    "test/sdk TestPrograms and TestSynced",
		"# introspect.sh": "test/sdk TestIntrospectionByALibrary",
	},
	"shared/verifier/README.md": {
		"v, err := verifier.New": "shared/verifier TestReadme compiles it",
		"proxy := &verifier.Pro": "shared/verifier TestReadme compiles it",
		"proxy_cache_path":       "a configuration of nginx; test/inmemory TestNoDeadTokenOutlivesTheBound has such a cache",
	},
	"shared/verifier/python/README.md": {
		"pip install ":                "test/sdk TestPythonVerifier installs it",
		"from mastio_verifier import": "test/sdk TestPythonVerifier runs it (tests/test_readme.py)",
	},
	".github/CONTRIBUTING.md": {"sudo apt-get": "installs packages on the machine"},
}

// pages returns the documents of the project by path.
func pages(t *testing.T) map[string]string { return files(t, ".md") }

// files returns the text of every file of the project whose name ends so, by path.
func files(t *testing.T, ending string) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "build", "cdk.out", "node_modules", "target"}, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ending) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		all[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// reason says why a block is not run here; empty: it is.
func reason(path string, b block) (key, why string) {
	for begin, why := range elsewhere[path] {
		if strings.HasPrefix(b.text, begin) {
			return begin, why
		}
	}
	return "", ""
}

// command is what a line begins with that a person would type.
var command = regexp.MustCompile(`(?m)^(make|curl|go|git|aws|sudo|export|openssl|docker|npm|pip|jq) `)

// Every block is run by a test, or the table says why not. What is not run is shown in the log; a shell can read it all
// the same, and its targets of make are there.
func TestEveryBlockIsRunOrAccountedFor(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	all, used, blocks := pages(t), map[string]bool{}, 0
	for _, path := range slices.Sorted(maps.Keys(all)) {
		for _, b := range blocksOf(all[path]) {
			blocks++
			language, word, _ := strings.Cut(b.info, " ")
			key, why := reason(path, b)
			used[path+" "+key] = used[path+" "+key] || why != ""
			switch {
			case language == "":
				if command.MatchString(b.text) {
					t.Errorf("%s:%d: these look like commands; begin the block with ```sh", path, b.line)
				}
				continue
			case language == "json":
				if !json.Valid([]byte(b.text)) {
					t.Errorf("%s:%d: the block is no JSON", path, b.line)
				}
				continue
			case why == "" && (language != "sh" || !slices.Contains(here, path)):
				t.Errorf("%s:%d: no test runs this block (%s): %s", path, b.line, b.info, b.first())
			case why == "" && word != "" && word != "agent":
				t.Errorf("%s:%d: a block that needs %q is not run, but the table does not say why", path, b.line, word)
			case why != "":
				t.Logf("not run here: %s:%d: %s: %s", path, b.line, b.first(), why)
			}
			if why != "" && !strings.Contains(why, "TestAWSCommands") && len(awsCommands(t, path, b)) > 0 {
				t.Errorf("%s:%d: the block has commands of the AWS CLI; TestAWSCommands holds them: say so", path, b.line)
			}
			if language == "sh" {
				readable(t, path, b, string(makefile))
			}
		}
	}
	for path, reasons := range elsewhere {
		for key := range reasons {
			if !used[path+" "+key] {
				t.Errorf("%s has no block that begins with %q: take it out of the table", path, key)
			}
		}
	}
	if blocks < 30 {
		t.Errorf("found %d blocks: the search is broken", blocks)
	}
}

// A reason that names a test names one that is there.
func TestReasonsNameTestsThatAreThere(t *testing.T) {
	var sources strings.Builder
	for _, text := range files(t, "_test.go") {
		sources.WriteString(text)
	}
	for path, reasons := range elsewhere {
		for _, why := range reasons {
			for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(why, -1) {
				if !strings.Contains(sources.String(), "\nfunc "+name+"(t *testing.T)") {
					t.Errorf("%s: there is no %s: %s", path, name, why)
				}
			}
		}
	}
}

var target = regexp.MustCompile(`(?m)(?:^|[;&] *)make +([a-z][a-z-]*(?: +[a-z][a-z-]*)*)`)

// readable checks what can be checked of commands without running them.
func readable(t *testing.T, path string, b block, makefile string) {
	t.Helper()
	if out, err := exec.Command("bash", "-n", "-c", b.text).CombinedOutput(); err != nil {
		t.Errorf("%s:%d: %v\n%s", path, b.line, err, out)
	}
	for _, m := range target.FindAllStringSubmatch(b.text, -1) {
		for _, name := range strings.Fields(m[1]) {
			if !regexp.MustCompile(`(?m)^[a-z -]*\b` + name + `\b[a-z -]*:`).MatchString(makefile) {
				t.Errorf("%s:%d: the Makefile has no target %s", path, b.line, name)
			}
		}
	}
	if strings.Contains(b.text, "jq -r ") || strings.Contains(b.text, "curl -s ") ||
		strings.Contains(b.text, "curl -sk ") {
		t.Errorf("%s:%d: a refusal goes unnoticed here: curl --fail-with-body -sS, jq -er", path, b.line)
	}
}
