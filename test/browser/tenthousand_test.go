package browser

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
)

// What a page may take with 10,000 agents: octets, and time of the server, everything that it asks for included.
const (
	manyAgents = 10_000
	maxTime    = 50 * time.Millisecond
	maxReads   = 100 // as many bare reads of the database take as long, at most
	loads      = 15
)

var timed = flag.Bool("timed", false, "fail for a page that takes longer than 50 ms: for a machine that does "+
	"nothing else")

// TestTenThousandAgents loads every page that has to do with the fleet, against DynamoDB Local on the same machine.
// The limit of a page is a number of bare reads, measured between its loads: a busy machine is slow at both.
func TestTenThousandAgents(t *testing.T) {
	if testing.Short() {
		t.Skip("measures each page many times: make check does")
	}
	s := start(t, 0)
	s.populate(t, manyAgents)
	client := s.client(t)
	for _, p := range []struct{ path, resource string }{
		{"/proxy/overview", "/proxy/overview"}, {"/proxy/agents", "/proxy/agents"},
		{"/proxy/agents?q=agent-00042", "/proxy/agents"},
		{"/proxy/agents?q=T-00042", "/proxy/agents"}, {"/proxy/agents?show=old", "/proxy/agents"},
		{"/proxy/agents?show=deactivated", "/proxy/agents"}, {"/proxy/agents?show=silent", "/proxy/agents"},
		{"/proxy/agents?sort=due", "/proxy/agents"}, {"/proxy/agents?method=minted", "/proxy/agents"},
		{"/proxy/rotate", "/proxy/rotate"}, {"/proxy/rotate?show=due-30", "/proxy/rotate"},
		{"/proxy/agents/orga::agent-0004242/edit", "/proxy/agents/{agent_id}/edit"},
		{"/proxy/audit?period=all", "/proxy/audit"},
		{"/proxy/agents?show=generation-1", "/proxy/agents"}, {"/proxy/agents?show=due-30", "/proxy/agents"},
		{"/proxy/agents/orga::agent-0004242", "/proxy/agents/{agent_id}"},
		{"/proxy/agents/orga::agent-0004242/rotate-cert", "/proxy/agents/{agent_id}/rotate-cert"},
		{"/proxy/pki", "/proxy/pki"},
		{"/proxy/audit", "/proxy/audit"}, {"/proxy/audit?subject=orga", "/proxy/audit"}, {"/proxy/enrol", "/proxy/enrol"},
		{"/proxy/pki/progress", "/proxy/pki/progress"}, {"/proxy/pki/rotate-ca", "/proxy/pki/rotate-ca"},
	} {
		size := 0
		var bare []time.Duration
		s.log.reset()
		for range loads {
			size = len(fetchPage(t, client, s.URL+p.path))
			bare = append(bare, s.bareRead(t))
		}
		took := s.log.times(t, p.resource, loads)
		slices.Sort(took)
		slices.Sort(bare)
		median, read := took[loads/2], bare[loads/2]
		t.Logf("%-50s %6d octets   quickest %5.1f ms   median %5.1f ms   slowest %5.1f ms   = %4.1f reads of %.2f ms",
			p.path, size, ms(took[0]), ms(median), ms(took[loads-1]), float64(median)/float64(read), ms(read))
		if size > maxPage {
			t.Errorf("%s: %d octets, want at most %d", p.path, size, maxPage)
		}
		if median > maxReads*read {
			t.Errorf("%s takes as long as %d reads, want at most %d", p.path, median/read, maxReads)
		}
		if *timed && took[0] > maxTime {
			t.Errorf("%s takes %v, want at most %v", p.path, took[0], maxTime)
		}
	}
}

// bareRead is how long one read of the database takes alone.
func (s *system) bareRead(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	_, err := s.Clients.DynamoDB.GetItem(t.Context(), &awsdynamodb.GetItemInput{
		TableName: aws.String(s.TablePrefix() + schema.Registry),
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "ORG"},
			"sk": &types.AttributeValueMemberS{Value: "none"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// populate puts agents past the API: how they came about does not matter here.
func (s *system) populate(t *testing.T, count int) {
	t.Helper()
	const batch, writers = 12, 4
	now := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for from := w * batch; from < count; from += writers * batch {
				var agents, entries []types.WriteRequest
				for n := from; n < min(from+batch, count); n++ {
					a := agent.Agent{
						ID: agent.ID(fmt.Sprintf("orga::agent-%07d", n)),
						Profile: agent.Profile{
							DisplayName:  fmt.Sprintf("Agent number %d of the fleet", n),
							Capabilities: []string{"kyc:read", "kyc:write"},
						},
						Method:     agent.Minted,
						Status:     agent.Active,
						EnrolledAt: now,
						UpdatedAt:  now,
						JKT:        strings.Repeat("j", 43),
						Pins: []agent.Pin{{
							Thumbprint: fmt.Sprintf("%064x", n),
							Generation: 1,
							NotBefore:  now,
							NotAfter:   now.AddDate(1, 0, 0),
						}},
					}
					if n%20 == 0 { // these are due
						a.Pins[0].NotBefore, a.Pins[0].NotAfter = now.AddDate(0, 0, -340), now.AddDate(0, 0, 25)
					}
					agents = append(agents, types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.AgentItem(a)}})
					entries = append(entries, types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.EntryItem(a)}})
				}
				in := &awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
					s.TablePrefix() + schema.Registry: agents, s.TablePrefix() + schema.Fleet: entries,
				}}
				if _, err := s.Clients.DynamoDB.BatchWriteItem(t.Context(), in); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// client is signed in.
func (s *system) client(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(c.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/proxy/login",
		strings.NewReader(url.Values{"secret": {s.AdminSecret}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", s.URL)
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.Request.URL.Path != "/proxy/overview" {
		t.Fatalf("signed in to %s, status %d", answer.Request.URL, answer.StatusCode)
	}
	return c
}

func fetchPage(t *testing.T, c *http.Client, address string) []byte {
	t.Helper()
	answer, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", address, answer.StatusCode, err)
	}
	return body
}

func (o *output) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}

// times reads out of the functions' log how long the requests for a resource took; the last lines may still be on their
// way.
func (o *output) times(t *testing.T, resource string, want int) []time.Duration {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var took []time.Duration
		o.mu.Lock()
		text := o.text.String()
		o.mu.Unlock()
		for line := range strings.Lines(text) {
			_, entry, _ := strings.Cut(line, "{")
			var request struct {
				Msg, Route string
				Micros     int64
			}
			if json.Unmarshal([]byte("{"+entry), &request) == nil && request.Msg == "request" &&
				request.Route == "GET "+resource {
				took = append(took, time.Duration(request.Micros)*time.Microsecond)
			}
		}
		if len(took) >= want {
			return took
		}
	}
	t.Fatalf("the log does not tell how long %s took", resource)
	return nil
}
