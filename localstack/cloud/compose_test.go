package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/localstack/cloud/process"
)

// Docker and the processes run the same version, and neither listens beyond this machine.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := "image: ${LOCALSTACK_IMAGE:-localstack/localstack:" + process.Version + "}\n"
	if !strings.Contains(string(text), want) {
		t.Errorf("compose.yaml has no line %q", want)
	}
	_, ports, ok := strings.Cut(string(text), "ports:\n")
	published := regexp.MustCompile(`^\s+- (.*)\n`).FindAllStringSubmatch(ports, -1)
	if !ok || len(published) != 1 || !strings.HasPrefix(published[0][1], `"127.0.0.1:`) {
		t.Errorf("published ports: %q, want one, of 127.0.0.1", published)
	}
	for _, refused := range []string{"network_mode", "privileged"} {
		if strings.Contains(string(text), refused) {
			t.Errorf("compose.yaml has %s", refused)
		}
	}
}
