package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// assembly is what make synth wrote: the templates of both stacks, and where they would go.
type assembly struct {
	account, region string
	bootstrap       int    // version of the bootstrap stack that the deployment needs
	parameter       string // SSM parameter that holds the version
	stacks          []stackTemplate
}

type stackTemplate struct {
	name      string
	resources map[string]resource
}

type resource struct {
	Type       string
	Properties map[string]any
	stack      string
	id         string
}

var errNoAssembly = errors.New("there are no templates: make synth writes them, with the CDK_ARGS of the deployment")

// readAssembly reads a folder of the CDK's.
func readAssembly(dir string) (assembly, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type, Environment string
			Properties        struct {
				TemplateFile, StackName string
				Version                 int    `json:"requiresBootstrapStackVersion"`
				Parameter               string `json:"bootstrapStackVersionSsmParameter"`
			}
		}
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil {
		return assembly{}, fmt.Errorf("%w: %w", errNoAssembly, err)
	}
	a := assembly{}
	for id, artifact := range manifest.Artifacts {
		if artifact.Type != "aws:cloudformation:stack" {
			continue
		}
		p := artifact.Properties
		a.account, a.region, _ = strings.Cut(strings.TrimPrefix(artifact.Environment, "aws://"), "/")
		a.bootstrap, a.parameter = max(a.bootstrap, p.Version), p.Parameter
		t := stackTemplate{name: p.StackName}
		if t.name == "" {
			t.name = id
		}
		var template struct{ Resources map[string]resource }
		if err := readJSON(filepath.Join(dir, p.TemplateFile), &template); err != nil {
			return assembly{}, err
		}
		t.resources = template.Resources
		for logical, r := range t.resources {
			r.stack, r.id = t.name, logical
			t.resources[logical] = r
		}
		a.stacks = append(a.stacks, t)
	}
	slices.SortFunc(a.stacks, func(x, y stackTemplate) int { return strings.Compare(x.name, y.name) })
	if len(a.stacks) == 0 {
		return a, errNoAssembly
	}
	return a, nil
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// all are the resources of a type, in the order of their names.
func (a assembly) all(kind string) (found []resource) {
	for _, t := range a.stacks {
		for _, r := range t.resources {
			if r.Type == kind {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(x, y resource) int { return strings.Compare(x.id, y.id) })
	return found
}

// text is a property that the template spells out; empty for one that only the deployment knows.
func (r resource) text(path ...string) string {
	var v any = r.Properties
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}

// org is the organisation, by the name of its stacks.
func (a assembly) org() string {
	name := strings.TrimPrefix(a.stacks[0].name, "mastio-")
	return strings.TrimSuffix(name, "-data")
}
