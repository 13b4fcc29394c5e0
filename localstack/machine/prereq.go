package machine

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tool is one program with the version it must at least have.
type tool struct {
	name    string
	command []string
	version *regexp.Regexp // its groups are the version's numbers; nil: any version does
	least   []int
	why     string
	install map[system]string
}

type system string

const (
	debian system = "Debian/Ubuntu"
	fedora system = "Fedora"
	macOS  system = "macOS"
)

var systems = []system{debian, fedora, macOS}

func everywhere(deb, fed, mac string) map[system]string {
	return map[system]string{
		debian: "sudo apt-get install " + deb,
		fedora: "sudo dnf install " + fed,
		macOS:  "brew install " + mac,
	}
}

var jdk = everywhere("openjdk-17-jdk-headless", "java-latest-openjdk-devel", "openjdk")

func nodejs() map[system]string {
	how := everywhere("nodejs npm", "nodejs npm", "node")
	how[debian] += " (an older release than Debian 13 or Ubuntu 24.10 has too old a one: https://nodejs.org/en/download)"
	return how
}

func golang() map[system]string {
	how := everywhere("", "golang", "go")
	how[debian] = "https://go.dev/doc/install"
	return how
}

// required is what nothing works without.
var required = []tool{
	{"Go", []string{"go", "version"}, regexp.MustCompile(`go(\d+)\.(\d+)`), []int{1, 26}, "builds the functions",
		golang()},
	{"Node.js", []string{"node", "--version"}, regexp.MustCompile(`v(\d+)`), []int{20}, "runs npm", nodejs()},
	{"npm", []string{"npm", "--version"}, regexp.MustCompile(`(?m)^(\d+)\.`), []int{8}, "fetches DynamoDB Local",
		nodejs()},
	{"Java", []string{"java", "-version"}, regexp.MustCompile(`version "(\d+)`), []int{17}, "runs DynamoDB Local", jdk},
	{"javac", []string{"javac", "-version"}, regexp.MustCompile(`javac (\d+)`), []int{17},
		"compiles its launcher; a JRE alone has none", jdk},
	{"make", []string{"make", "--version"}, nil, nil, "runs the targets", everywhere("make", "make", "make")},
}

// optional is what only the guided tour and some tests use.
var optional = []tool{
	{"openssl", []string{"openssl", "version"}, nil, nil, "", everywhere("openssl", "openssl", "openssl@3")},
	{"curl", []string{"curl", "--version"}, nil, nil, "", everywhere("curl", "curl", "curl")},
	{"jq", []string{"jq", "--version"}, nil, nil, "", everywhere("jq", "jq", "jq")},
}

// CheckTools returns nil if everything that is required is there, else one error that names all that is missing or too
// old, and for each system the way to get it. It runs every program once, with its version flag.
func CheckTools(ctx context.Context) error {
	missing := look(ctx, required)
	if len(missing) == 0 {
		return nil
	}
	text := "needed but not there:" + list(missing)
	if more := MissingOptional(ctx); more != "" {
		text += "\n" + more
	}
	return fmt.Errorf("%s", text)
}

// MissingOptional names what is missing of the programs that the guided tour uses; "" if nothing is.
func MissingOptional(ctx context.Context) string {
	if missing := look(ctx, optional); len(missing) > 0 {
		return "needed only for the guided tour and some tests:" + list(missing)
	}
	return ""
}

// lack is a tool that is missing, or what is wrong with the one that was found.
type lack struct {
	tool
	found string
}

func look(ctx context.Context, tools []tool) []lack {
	var missing []lack
	for _, t := range tools {
		if found, ok := t.there(ctx); !ok {
			missing = append(missing, lack{t, found})
		}
	}
	return missing
}

// patience is for a machine that is busy; a version flag otherwise answers in milliseconds, Java's in 200.
const patience = 20 * time.Second

func (t tool) there(ctx context.Context) (found string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Java prints its version on standard error.
	out, err := exec.CommandContext(ctx, t.command[0], t.command[1:]...).CombinedOutput()
	if err != nil {
		return "not found, or it does not run", false
	}
	if t.version == nil {
		return "", true
	}
	m := t.version.FindStringSubmatch(string(out))
	if m == nil {
		return "found, but its version cannot be read", false
	}
	return "found " + strings.Join(m[1:], "."), atLeast(m[1:], t.least)
}

func atLeast(got []string, least []int) bool {
	for i, want := range least {
		n, err := strconv.Atoi(got[i])
		if err != nil || n < want {
			return false
		}
		if n > want {
			return true
		}
	}
	return true
}

func list(missing []lack) string {
	var b strings.Builder
	for _, m := range missing {
		fmt.Fprintf(&b, "\n  %s%s: %s", m.name, m.atLeastText(), m.found)
		if m.why != "" {
			fmt.Fprintf(&b, " (%s)", m.why)
		}
	}
	for _, s := range systems {
		fmt.Fprintf(&b, "\n  on %s:", s)
		said := map[string]bool{}
		for _, m := range missing {
			if how := m.install[s]; !said[how] {
				said[how] = true
				fmt.Fprintf(&b, "\n    %s", how)
			}
		}
	}
	return b.String()
}

func (t tool) atLeastText() string {
	if t.least == nil {
		return ""
	}
	var numbers []string
	for _, n := range t.least {
		numbers = append(numbers, strconv.Itoa(n))
	}
	return " " + strings.Join(numbers, ".") + " or newer"
}
