package lambda

import (
	"slices"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct {
		name   string
		writes []string
		want   []string
	}{
		{"one", []string{"a\n"}, []string{"a"}},
		{"several at once", []string{"a\n\nb\n"}, []string{"a", "", "b"}},
		{"in pieces", []string{"a", "", "b\nc", "d\n"}, []string{"ab", "cd"}},
		{"without an end", []string{"a\nb"}, []string{"a", "b"}},
		{"too long", []string{long[1:], "xy", "z\n"}, []string{long + "y", "z"}},
		{"nothing", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out buffer
			l := &lines{sink: &sink{w: &out}, prefix: "f | "}
			for _, w := range tt.writes {
				if n, err := l.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("write %d, %v", n, err)
				}
			}
			l.flush()
			var want strings.Builder
			for _, line := range tt.want {
				want.WriteString("f | " + line + "\n")
			}
			if got := out.String(); got != want.String() {
				t.Errorf("got %d lines, want %d: %.80q", strings.Count(got, "\n"), len(tt.want), got)
			}
		})
	}
}

func TestEnviron(t *testing.T) {
	t.Setenv("PATH", "/bin")
	t.Setenv("HOME", "/root")
	t.Setenv("TMPDIR", "/tmp")
	t.Setenv("AWS_CA_BUNDLE", "/ca.pem")
	f := Function{
		Name: "f",
		Path: "/opt/f/bootstrap",
		Env: map[string]string{
			"HOME": "/home/f", "AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_NAME": "other", "A": "1",
		},
	}
	got := environ(f, "us-east-1", "127.0.0.1:1")
	want := []string{
		"A=1",
		"AWS_DEFAULT_REGION=us-east-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_FUNCTION_NAME=f",
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f",
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1",
		"AWS_REGION=eu-west-1",
		"HOME=/home/f",
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"LAMBDA_TASK_ROOT=/opt/f",
		"LANG=en_US.UTF-8",
		"PATH=/bin",
		"TMPDIR=/tmp",
		"TZ=:UTC",
		"_HANDLER=bootstrap",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
