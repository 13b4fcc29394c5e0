package guide

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/test/awsmodel"
	"github.com/mastio-aws/mastio/test/python"
)

// span is a command of the AWS CLI that a sentence has in it.
var span = regexp.MustCompile("`(aws [a-z0-9-]+ [^`]*)`")

// spelled is one in a message of a program: prose may follow it, so only words that belong to it are taken.
var spelled = regexp.MustCompile(`\baws [a-z0-9]+ (wait )?[a-z][a-z0-9-]+` +
	`( +(--[a-z-]+|/\S+)( +("[^"]*"|'[^']*'|[^\s;,'")-][^\s;,'")]*))?)*`)

// verb is a place that a message fills in.
var verb = regexp.MustCompile(`%(\[\d\])?[a-z]`)

// Every command of the AWS CLI that a document or a message of a program names is one that the CLI and the service
// take: service, operation, options and values, and what --query selects, by the models of AWS.
func TestAWSCommands(t *testing.T) {
	all := append(commandsOfPages(t), commandsOfMessages(t)...)
	wrong, looked, err := awsmodel.CheckCommands(t.Context(), all)
	if errors.Is(err, python.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Log(looked)
	for _, text := range wrong {
		t.Error(text)
	}
}

// awsCommands returns those of a block; one that is no shell has none.
func awsCommands(t *testing.T, path string, b block) []awsmodel.Command {
	t.Helper()
	if language, _, _ := strings.Cut(b.info, " "); language != "sh" {
		return nil
	}
	found, err := awsmodel.Commands(path+":"+strconv.Itoa(b.line), b.text)
	if err != nil {
		t.Error(err)
	}
	return found
}

// commandsOfPages returns those in blocks and in sentences.
func commandsOfPages(t *testing.T) (all []awsmodel.Command) {
	t.Helper()
	texts := pages(t)
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		for _, b := range blocksOf(texts[path]) {
			all = append(all, awsCommands(t, path, b)...)
		}
		for i, line := range strings.Split(texts[path], "\n") {
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				all = append(all, spoken(t, path+":"+strconv.Itoa(i+1), strings.ReplaceAll(m[1], `\|`, "|"))...)
			}
		}
	}
	if len(all) < 15 {
		t.Errorf("the documents have %d commands: the search is broken", len(all))
	}
	return all
}

// spoken returns those of a sentence. A command without an option only names an operation.
func spoken(t *testing.T, where, text string) []awsmodel.Command {
	t.Helper()
	found, err := awsmodel.Commands(where, text)
	if err != nil {
		t.Error(err)
	}
	for i := range found {
		found[i].Example = !strings.Contains(text, " --")
	}
	return found
}

// commandsOfMessages returns the commands in the programs' messages.
func commandsOfMessages(t *testing.T) (all []awsmodel.Command) {
	t.Helper()
	sources := files(t, ".go")
	for _, path := range slices.Sorted(maps.Keys(sources)) {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "test/") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, sources[path], 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			message, literal := said(e)
			if !literal {
				return true
			}
			for _, command := range spelled.FindAllString(verb.ReplaceAllString(message, "$$X"), -1) {
				all = append(all, spoken(t, set.Position(e.Pos()).String(), command)...)
			}
			return false
		})
	}
	if len(all) < 10 {
		t.Errorf("the programs name %d commands: the search is broken", len(all))
	}
	return all
}

// said is the text of an expression that has a literal in it: what is no literal is $X.
func said(e ast.Expr) (text string, literal bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return s, true
		}
	case *ast.BinaryExpr:
		left, a := said(e.X)
		right, b := said(e.Y)
		return left + right, e.Op == token.ADD && (a || b)
	}
	return "$X", false
}
