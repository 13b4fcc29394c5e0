package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Protection from deletion begins with the second deployment, and is never taken away because CloudFormation did not
// answer.
func TestFirstDeployment(t *testing.T) {
	refusal := func(code, message string) string {
		return "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>" + message +
			"</Message></Error></ErrorResponse>"
	}
	stack := func(status string) string {
		return "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName><StackStatus>" +
			status + "</StackStatus></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
	}
	for answer, want := range map[string]struct {
		status      int
		first, fail bool
	}{
		refusal("ValidationError", "Stack with id s does not exist"): {status: 400, first: true},
		refusal("ValidationError", "the name is too long"):           {status: 400, fail: true},
		refusal("AccessDenied", "no"):                                {status: 403, fail: true},
		stack("ROLLBACK_COMPLETE"):                                   {status: 200, first: true},
		stack("ROLLBACK_FAILED"):                                     {status: 200, first: true},
		stack("REVIEW_IN_PROGRESS"):                                  {status: 200, first: true},
		stack("CREATE_COMPLETE"):                                     {status: 200},
		stack("UPDATE_ROLLBACK_COMPLETE"):                            {status: 200},
		stack("UPDATE_ROLLBACK_FAILED"):                              {status: 200},
		stack("DELETE_FAILED"):                                       {status: 200},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(want.status)
			_, _ = io.WriteString(w, answer)
		}))
		cfg := aws.Config{
			Region:       "eu-central-1",
			BaseEndpoint: &server.URL,
			Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		}
		first, err := firstDeployment(t.Context(), cfg, "s")
		if first != want.first || (err != nil) != want.fail {
			t.Errorf("%s: first %t, %v", answer, first, err)
		}
		server.Close()
	}
}
