package process

import (
	"fmt"
)

// passed are the variables that LocalStack gets from this process. A developer's own AWS settings are not among them.
var passed = []string{"PATH", "HOME", "LANG", "LAMBDA_PROCESS_FREEZE", "LAMBDA_KEEPALIVE_MS"}

// environment is what LocalStack is started with.
func (l *LocalStack) environment(lookup func(string) (string, bool)) []string {
	var env []string
	for _, name := range passed {
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env,
		"TMPDIR="+l.path("tmp"), // also the mark by which every process of it is found
		"FILESYSTEM_ROOT="+l.path("root"),
		"OVERRIDE_IN_DOCKER=0", // in a container, a marker file would make it use /var/lib/localstack
		fmt.Sprintf("GATEWAY_LISTEN=127.0.0.1:%d", l.Port),
		"GATEWAY_SERVER=loopback", // the plugin; its own server binds every interface
		fmt.Sprintf("LOCALSTACK_HOST=localhost:%d", l.Port),
		"SQS_ENDPOINT_STRATEGY=path", // the default queue URLs need public DNS
		"LAMBDA_RUNTIME_EXECUTOR=process",
		"LAMBDA_SYNCHRONOUS_CREATE=1",
		"LAMBDA_IGNORE_ARCHITECTURE=1",
		"PROVIDER_OVERRIDE_DYNAMODB=v2", // native streams; the default ones start a Kinesis emulator
		"DYNAMODB_IN_MEMORY=1",
		"DYNAMODB_SHARE_DB=1",
		"DNS_ADDRESS=0",
		"DISABLE_EVENTS=1",
		"SKIP_SSL_CERT_DOWNLOAD=1",
	)
}
