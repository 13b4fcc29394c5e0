package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/mastio-aws/mastio/localstack/stack"
)

// keysFile holds what AWS clients need for the services of a run, in the folder of its files. It is readable by its
// owner only, as proxy.env is: its access key reads the admin secret.
const keysFile = "aws.env"

// tokenFile holds the metrics token, as Prometheus's credentials_file has it, in the same folder.
const tokenFile = "metrics-token"

// awsEnvironment is the text of that file, in lines that a shell reads.
func awsEnvironment(s *stack.Stack) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=\nAWS_REGION=%s\n", stack.AccessKey,
		s.Keys[stack.AccessKey], stack.Region)
	for _, service := range slices.Sorted(maps.Keys(s.Endpoints)) {
		fmt.Fprintf(&b, "AWS_ENDPOINT_URL_%s=%s\n", stack.EndpointName(service), s.Endpoints[service])
	}
	return b.Bytes()
}
