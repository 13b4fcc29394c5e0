// Package permissions compares the functions' calls on a local stack with the rights that infra/permissions.md gives
// them on AWS. On AWS a missing right would show only after a deployment.
package permissions

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// statement is one line of the table.
type statement struct {
	sid        string
	deny       bool
	actions    []string
	resources  []string
	conditions []condition
}

// condition is one of a statement's, as IAM has it: all of them have to hold.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type condition struct {
	key, operator string
	values        []string
}

// table is what each function may do.
type table map[string][]statement

// organisation is the one that the table is written for.
const organisation = "acme"

func readTable(path string) (table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := table{}
	var function string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			function = name
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if function == "" || !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| statement ") {
			continue
		}
		if len(cells) < 3 || len(cells) > 4 {
			return nil, fmt.Errorf("%s: a line of %d cells: %s", path, len(cells), line)
		}
		all[function] = append(all[function], readStatement(cells))
	}
	if len(all) < 10 {
		return nil, fmt.Errorf("%s names %d functions: it is not read as it is written", path, len(all))
	}
	return all, nil
}

func readStatement(cells []string) statement {
	st := statement{sid: strings.TrimSpace(cells[0]), actions: list(cells[1]), resources: list(cells[2])}
	st.sid, st.deny = strings.CutSuffix(st.sid, " (**denied**)")
	if len(cells) < 4 {
		return st
	}
	for _, text := range strings.Split(cells[3], ";") {
		if words := strings.Fields(text); len(words) >= 3 {
			st.conditions = append(st.conditions, condition{words[0], words[1], list(strings.Join(words[2:], " "))})
		}
	}
	return st
}

func list(cell string) []string {
	var all []string
	for _, part := range strings.Split(cell, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// judge says whether a statement of the function allows what was asked, which one, and whether another denies it.
func (t table) judge(a iamRequest) (by string, ok bool) {
	for _, st := range t[a.function] {
		if !slices.Contains(st.actions, a.action) ||
			!slices.ContainsFunc(st.resources, func(r string) bool { return like(r, a.resource) }) || !st.holds(a) {
			continue
		}
		if st.deny {
			return st.sid, false
		}
		if !ok { // the narrow ones stand first
			by, ok = st.sid, true
		}
	}
	return by, ok
}

func (st statement) holds(a iamRequest) bool {
	for _, c := range st.conditions {
		if !c.holds(a.context[c.key]) {
			return false
		}
	}
	return true
}

func (c condition) holds(got []string) bool {
	operator, each := strings.CutPrefix(c.operator, "ForAllValues:")
	operator, optional := strings.CutSuffix(operator, "IfExists")
	met := func(v string) bool {
		return slices.ContainsFunc(c.values, func(want string) bool { return meets(operator, v, want) })
	}
	switch {
	case operator == "Null":
		return (len(got) == 0) == (c.values[0] == "true")
	case operator == "StringNotEquals":
		return !slices.ContainsFunc(got, func(v string) bool { return slices.Contains(c.values, v) })
	case each:
		return !slices.ContainsFunc(got, func(v string) bool { return !met(v) })
	case len(got) == 0:
		return optional
	}
	return slices.ContainsFunc(got, met)
}

// meets compares one value. An operator that is not known holds for nothing.
func meets(operator, v, want string) bool {
	switch operator {
	case "StringEquals":
		return v == want
	case "StringLike":
		return like(want, v)
	case "NumericLessThan":
		a, errA := strconv.ParseFloat(v, 64)
		b, errB := strconv.ParseFloat(want, 64)
		return errA == nil && errB == nil && a < b
	}
	return false
}

// like matches a pattern in which * stands for anything.
func like(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		var found bool
		_, s, found = strings.Cut(s, part)
		ok = ok && found
	}
	return ok && strings.HasSuffix(s, parts[len(parts)-1])
}
