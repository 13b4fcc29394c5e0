package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// edgeSteps are what AWS's documentation leaves open about the agents' API, as far as a request shows it.
func (g *guide) edgeSteps() []step {
	const event = "shared/edge/httpapi/event.go"
	return []step{
		{"two proofs in one request", g.log("token"), g.twoProofs},
		{"a path is decoded once", event + ", target: it must not decode the path of this API again", g.decodedOnce},
		{"a path that agents have not", "$default of the agents' API, " + g.log("discovery"), g.agentsStray},
		{"a path of the operators alone", "the stage variable host: infra/mastio/httpapi.go, httpStage, and " + event,
			g.operatorsOnly},
		{"the challenge of a resource", "shared/edge/httpapi/me.go; a client has to read the code in the body until then",
			g.challenge},
	}
}

// decodedOnce asks for a token at a path with a doubled escape. Decoded twice, the path would be the token endpoint's.
func (g *guide) decodedOnce(ctx context.Context) (string, error) {
	if _, err := g.asked(ctx, g.now); err != nil {
		return "", err
	}
	a, err := g.send(ctx, "POST", g.in.agents+"/v1/auth/%2574oken", "", &g.now)
	if err == nil && a.status != http.StatusNotFound && a.status != http.StatusForbidden {
		err = fmt.Errorf("/v1/auth/%%2574oken is a path of its own: want 404, %s", a.text())
	}
	return fmt.Sprintf("%d for /v1/auth/%%2574oken", a.status), err
}

// operatorsOnly asks the agents' host for what the operators' host alone has. The function that answers knows by the
// stage variable host which API it serves.
func (g *guide) operatorsOnly(ctx context.Context) (string, error) {
	if g.in.agents == g.in.operators {
		return "", skip("one host serves agents and operators: a gateway on this machine")
	}
	if _, err := g.asked(ctx, g.now); err != nil {
		return "", err
	}
	a, err := g.send(ctx, "PUT", g.in.agents+"/pki/rotate-ca", "", &g.now)
	if err == nil && a.status != http.StatusNotFound && a.status != http.StatusForbidden {
		err = fmt.Errorf("want 404: the agents' API has no such path, %s", a.text())
	}
	return fmt.Sprint(a.status), err
}

// Names under which a challenge arrives. API Gateway renames the header of a REST API.
const challengeHeader, renamedChallenge = "WWW-Authenticate", "X-Amzn-Remapped-Www-Authenticate"

// challenge asks a resource without a token. Either name of the header does: the body has the code too.
func (g *guide) challenge(ctx context.Context) (string, error) {
	if _, err := g.asked(ctx, g.now); err != nil {
		return "", err
	}
	a, err := g.send(ctx, "GET", g.in.agents+"/v1/agent/me", "", &g.now)
	if err != nil {
		return "", err
	}
	if a.status != http.StatusUnauthorized {
		return "", fmt.Errorf("want 401, %s", a.text())
	}
	for _, name := range []string{challengeHeader, renamedChallenge} {
		if strings.Contains(a.header.Get(name), "DPoP") {
			return "401 with " + name, nil
		}
	}
	return "", fmt.Errorf("want 401 with %s or %s, %s", challengeHeader, renamedChallenge, a.text())
}

// logs are the questions about what the token requests of the guide have left in CloudWatch Logs.
type logs struct {
	q     *questions
	since time.Time
	asked bool // whether there was a request: without a domain there is none
}

func (l *logs) steps() []step {
	group := func(name string) string { return "aws logs tail " + name + " --since 10m" }
	return []step{
		{"AWS: lines of a function's log", group(l.function()) + "; shared/boot/log.go: Lambda wraps a line that " +
			"lacks level or timestamp, and a token costs more than infra/README.md says", l.lines},
		{"AWS: the access log is filled", group(l.access()) + "; shared/routes/accesslog.go has the variables", l.filled},
	}
}

func (l *logs) function() string { return "/aws/lambda/mastio-" + l.q.org + "-token" }

func (l *logs) access() string { return "/aws/vendedlogs/mastio/" + l.q.org + "/access/agents" }

// line is what our lines and those of an access log have in common with nothing else.
type line struct {
	Level     string          `json:"level"`
	Timestamp string          `json:"timestamp"`
	Text      json.RawMessage `json:"msg"`
	Wrapped   json.RawMessage `json:"message"` // what Lambda puts a line into that it does not take as it is
	Route     string          `json:"route"`
	Resource  string          `json:"resource"` // of a REST API
	Status    json.RawMessage `json:"status"`   // a number in a line of ours, a string in an access log
}

// read judges the lines of a group, again and again while they are not as they should be: CloudWatch Logs shows a line
// after some seconds.
func (l *logs) read(
	ctx context.Context, group string, judge func([]string) (string, error),
) (detail string, err error) {
	if !l.asked {
		return "", skip("no agent asked for a token")
	}
	api, foreign := cloudwatchlogs.NewFromConfig(l.q.cfg), false
	elsewhere := l.q.cfg.BaseEndpoint != nil // LocalStack, which has no access log and lines of its own
	err = l.q.until(ctx, func(err error) bool { return code(err) == "" && !elsewhere }, func() error {
		var all []string
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(api, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: &group,
			StartTime:    aws.Int64(l.since.UnixMilli()),
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, e := range out.Events {
				all = append(all, aws.ToString(e.Message))
			}
		}
		foreign = slices.ContainsFunc(all, func(text string) bool { return !json.Valid([]byte(text)) })
		if len(all) == 0 {
			foreign = true
			return fmt.Errorf("%s has no line of the last minutes", group)
		}
		var err error
		detail, err = judge(all)
		return err
	})
	if err != nil && elsewhere && (foreign || code(err) != "") {
		return "", skip("%v, at an endpoint that is not AWS's", err)
	}
	return detail, mayNot(err)
}

// lines looks whether Lambda keeps our lines as they are: "Log-level filtering", Lambda developer guide.
func (l *logs) lines(ctx context.Context) (string, error) {
	return l.read(ctx, l.function(), asWritten)
}

// asWritten reports the first line of ours that was changed.
func asWritten(all []string) (string, error) {
	ours := 0
	for _, text := range all {
		var entry line
		if json.Unmarshal([]byte(text), &entry) != nil {
			continue // of the platform, in another form
		}
		switch {
		case entry.Wrapped != nil && strings.Contains(string(entry.Wrapped), "msg"):
			return "", fmt.Errorf("a line is wrapped by Lambda: %.200s", text)
		case entry.Text != nil && (entry.Level == "" || entry.Timestamp == ""):
			return "", fmt.Errorf("a line has no level or no timestamp: %.200s", text)
		case entry.Text != nil:
			ours++
		}
	}
	if ours == 0 {
		return "", fmt.Errorf("none of %d lines is the Mastio's: %.200s", len(all), all[0])
	}
	return fmt.Sprintf("%d lines as they were written", ours), nil
}

// filled looks whether API Gateway knows the variables of the access log: one that it does not know is a hyphen.
func (l *logs) filled(ctx context.Context) (string, error) {
	return l.read(ctx, l.access(), hasToken)
}

// hasToken looks for the line of a token request.
func hasToken(all []string) (string, error) {
	for _, text := range all {
		var entry line
		if json.Unmarshal([]byte(text), &entry) != nil {
			continue // of the platform, in another form
		}
		if at := entry.Route + entry.Resource; strings.HasSuffix(at, "/v1/auth/token") && string(entry.Status) == `"200"` {
			return fmt.Sprintf("%d octets for a token", len(text)), nil
		}
	}
	return "", fmt.Errorf("no line of %d has the route and the status of a token: %.200s", len(all), all[0])
}
