// Command bootstrap is a function that answers what it was asked.
package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() { lambda.Start(handle) }

func handle(_ context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	said := map[string]string{"resource": e.Resource, "body": e.Body}
	if cert := e.RequestContext.Identity.ClientCert; cert != nil {
		said["subject"] = cert.SubjectDN
	}
	body, err := json.Marshal(said)
	return events.APIGatewayProxyResponse{StatusCode: 200, Body: string(body)}, err
}
