package awsmodel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Unknown stands in a word for what only a run could show: the value of a variable, the output of a command.
const Unknown = "\ufffc"

// Command is a command line of the AWS CLI.
type Command struct {
	Where string   `json:"where"`
	Words []string `json:"words"` // behind "aws"
	// Example is a command that need not have every required option, as one that a sentence names.
	Example bool `json:"example"`
}

// Commands returns the command lines of the AWS CLI in a shell script, those in substitutions and loops as well. It
// returns an error for a text that bash could not read.
func Commands(where, script string) (all []Command, err error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "aws" {
			return true
		}
		c := Command{Where: where, Words: []string{}}
		for _, w := range call.Args[1:] {
			c.Words = append(c.Words, text(w.Parts))
		}
		all = append(all, c)
		return true
	})
	return all, nil
}

// text is what a shell makes of a word, as far as that is known.
func text(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(text(p.Parts))
		default:
			b.WriteString(Unknown)
		}
	}
	return b.String()
}

// CheckCommands returns everything in the commands that the CLI, or the service that it asks, would refuse for its
// form, each once, and a line that says how much was looked at.
func CheckCommands(ctx context.Context, all []Command) (wrong []string, looked string, err error) {
	found, looked, err := judgeCommands(ctx, all)
	return texts(found), looked, err
}

func judgeCommands(ctx context.Context, all []Command) ([]finding, string, error) {
	input, err := json.Marshal(all)
	if err != nil {
		return nil, "", err
	}
	return run(ctx, shapes+commands, bytes.NewReader(input))
}
