package sdk

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
)

// meServed reports whether the Mastio has the resource that agents call. Until it has, flows leave the call out.
func meServed() bool { return len(routes.On("/v1/agent/me")) > 0 }

// needsMe skips a test that is about the call alone.
func needsMe(t *testing.T) {
	t.Helper()
	if !meServed() {
		t.Skip("there is no GET /v1/agent/me yet")
	}
}

// withoutMe takes the call out of a flow's words.
func withoutMe(words []string) []string {
	words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "me: ") || w == "calls: "+meCall })
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, ", "+meCall, "")
	}
	return words
}

// served leaves the call out of a program of the page.
func served(source []byte) []byte {
	if meServed() {
		return source
	}
	call := regexp.MustCompile(`(?m)^\s*((await |agent\.|a\.)call\(\);?|answer = agent\..*|answer\.raise_for_status\(\)|print\("me", answer.*)$`)
	return call.ReplaceAll(source, nil)
}
