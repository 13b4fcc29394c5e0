package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
)

// awsOf is the environment in which an agent's host reaches the secrets of a local stack.
func awsOf(ctx context.Context, s *stack.Stack) ([]string, error) {
	cfg := s.AWSConfig()
	keys, err := cfg.Credentials.Retrieve(ctx)
	return []string{
		"AWS_REGION=" + cfg.Region, "AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey,
		"AWS_ENDPOINT_URL=" + s.Endpoints[stack.SecretsManager],
	}, err
}

// built is the command agent-sync, out of these sources.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "agent-sync")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program,
		"../../shared/cmd/agent-sync").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// within repeats a look until it is true.
func within(t *testing.T, limit time.Duration, what string, look func() bool) {
	t.Helper()
	over := time.After(limit)
	for !look() {
		select {
		case <-over:
			t.Fatalf("not within %s: %s", limit, what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// deliver makes the agent's certificate due, as time would, and runs the schedule until the next one is in the secret.
func (m *mastio) deliver(t *testing.T, id string) {
	t.Helper()
	view, err := m.store.View(t.Context(), agent.ID(id))
	if err != nil || view.Agent == nil {
		t.Fatalf("view of %s: %v", id, err)
	}
	a := *view.Agent
	a.Pins[0].Due = time.Now().Add(-time.Hour)
	if err := m.store.Apply(t.Context(), registry.Change{ID: rand.Text(), Agent: &a}); err != nil {
		t.Fatal(err)
	}
	m.settle(t)
	m.settle(t) // the first run pins the certificate, the second one makes it the secret's current
}

// delivered mints an agent as flow 4 does, with the files of its enrolment in the folder. Its next certificates are
// delivered to its secret.
func (m *mastio) delivered(t *testing.T, folder string) (i credential, secret string) {
	t.Helper()
	i = m.mint(t)
	m.must(t, 200, "PUT", "/v1/admin/agents/"+i.AgentID+"/hygiene", "application/json",
		[]byte(`{"deliver": "secretsmanager"}`))
	identity := flow{folder: folder}
	identity.write(t, "cert.pem", []byte(i.CertPEM))
	identity.write(t, "key.pem", []byte(i.KeyPEM))
	identity.write(t, "dpop.jwk", i.DPoPJWK)
	return i, "mastio/agents/" + agent.ID(i.AgentID).Org() + "/" + agent.ID(i.AgentID).Name()
}

// Flow 4 with agent-sync, from the files of the enrolment on, through rotations of the Org CA.
func TestSynced(t *testing.T) {
	if deploymentFile() != "" {
		t.Skip("not on LocalStack: what is due is made due in the registry")
	}
	m := running(t)
	program := built(t)
	for _, overlap := range []bool{true, false} {
		t.Run(fmt.Sprintf("overlap=%t", overlap), func(t *testing.T) {
			folder := t.TempDir()
			i, secret := m.delivered(t, filepath.Join(folder, "identity"))
			list := filepath.Join(folder, "changes")
			daemon := exec.Command(program, "--secret", secret, "--dir", filepath.Join(folder, "identity"),
				"--interval", "1s", "--shell", "--exec", "echo change >> "+list)
			daemon.Env = append(clean(os.Environ()), m.aws...)
			var said bytes.Buffer
			daemon.Stdout, daemon.Stderr = &said, &said
			if err := daemon.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = daemon.Process.Kill() })
			query, changes := "", 0
			if overlap {
				query = "&overlap=600"
			}
			f := flow{script: "synced.py", agent: i.AgentID, folder: folder, given: map[string]any{"overlap": overlap}}
			f.asks = map[string]func(){"rotate the Org CA and deliver": func() {
				m.must(t, 200, "POST", "/pki/rotate-ca?mode=mint&backup=skip"+query, "", nil)
				m.settle(t) // the re-issue
				changes++
				within(t, time.Minute, "the change of the files", func() bool {
					text, _ := os.ReadFile(list)
					return bytes.Count(text, []byte("change")) == changes
				})
			}}
			has, old := "token: {agent} kyc:read kyc:write DPoP", "refused: Certificate has been revoked"
			after := []string{old, has, "me: {agent} kyc:read kyc:write", "refused: Certificate has been revoked", has}
			if overlap {
				after[0] = has
			}
			want := append([]string{has, "me: {agent} kyc:read kyc:write", "calls: " + byMastio + ", " + meCall},
				append(after, after...)...)
			f.run(t, m, want...)
			m.reissued(t, i.AgentID, changes)
			if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := daemon.Wait(); err != nil {
				t.Errorf("after a signal: %v", err)
			}
			t.Logf("agent-sync\n%s", indent(said.String()))
			if strings.Contains(said.String(), "PRIVATE KEY") || strings.Count(said.String(), "msg=installed") != 2 {
				t.Errorf("agent-sync said: %s", said.String())
			}
		})
	}
	m.must(t, 200, "POST", "/pki/rotate-ca?mode=finalise", "", nil)
}

// reissued fails unless the agent got each certificate after its first one by the re-issue that a rotation begins, and
// the agent is on record once for each rotation.
func (m *mastio) reissued(t *testing.T, id string, rotations int) {
	t.Helper()
	rows, err := m.store.Rows(t.Context(), id, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range rows {
		if r.EventType != audit.AgentCertRotated {
			continue
		}
		if n++; r.Details["comment"] != "re-issue under a new Org CA" {
			t.Errorf("row %d of %s: %v", r.Seq, id, r.Details)
		}
	}
	if n != rotations {
		t.Errorf("%s has %d new certificates on record, want one for each of %d rotations", id, n, rotations)
	}
}

// The page's unit of agent-sync, and the program that it starts: the first delivery, then the agent.
func syncOfThePage(t *testing.T, m *mastio) {
	if deploymentFile() != "" {
		t.Skip("not on LocalStack: what is due is made due in the registry")
	}
	// The stand-in of systemctl ends agent-sync, its parent, which goes on until then.
	bin := filepath.Dir(built(t))
	stub := "#!/bin/sh\necho systemctl \"$@\"\nkill -TERM $PPID\n"
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	p := command{name: "sync.sh", runs: []string{"sh"}, folder: t.TempDir()}
	i, secret := m.delivered(t, filepath.Join(p.folder, "identity"))
	m.deliver(t, i.AgentID)
	p.agent = i.AgentID[strings.LastIndex(i.AgentID, ":")+1:]
	p.env = append(slices.Clone(m.aws), "PATH="+bin+":"+os.Getenv("PATH"), "AGENT_SECRET="+secret)
	_ = p.run(t, m, "")
	p = command{name: "synced.py", runs: []string{sdkPython(t)}, agent: p.agent, folder: p.folder}
	if diff := cmp.Diff([]string{"me " + i.AgentID}, p.run(t, m, "")); diff != "" {
		t.Errorf("synced.py (-want +got):\n%s", diff)
	}
	// It runs on the delivered certificate: the first use of that one ended the enrolment's.
	kinds := m.chain(t, i.AgentID)
	if got := kinds[len(kinds)-1]; got != "agent.cert_activated" {
		t.Errorf("the last row is %s", got)
	}
}

// storeOf reads and writes the registry of a local stack.
func storeOf(s *stack.Stack) *dynamo.Store {
	return dynamo.New(dynamo.Config{Client: s.Clients.DynamoDB, Prefix: s.TablePrefix()})
}
