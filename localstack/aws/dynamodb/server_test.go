package dynamodb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
)

// root is the project's folder, and cache the one that `make run` uses: the packages are fetched once for all.
const (
	root  = "../../.."
	cache = root + "/build/localstack"
)

func start(t *testing.T, cfg dynamodb.Config) *dynamodb.Server {
	t.Helper()
	dynamodbtest.NeedTools(t)
	cfg.Cache = cache
	s, err := dynamodb.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func client(endpoint string) *awsdynamodb.Client {
	return awsdynamodb.New(awsdynamodb.Options{
		Region:                          "us-east-1",
		BaseEndpoint:                    &endpoint,
		Credentials:                     credentials.NewStaticCredentialsProvider("local", "local", ""),
		DisableValidateResponseChecksum: true,
	})
}

func put(t *testing.T, c *awsdynamodb.Client, table string, item map[string]types.AttributeValue) {
	t.Helper()
	if _, err := c.PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
		t.Fatal(err)
	}
}

func keyed(name, value string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{name: &types.AttributeValueMemberS{Value: value}}
}

func has(t *testing.T, c *awsdynamodb.Client, table, pk string) bool {
	t.Helper()
	out, err := c.GetItem(t.Context(), &awsdynamodb.GetItemInput{
		TableName: &table,
		Key:       keyed("pk", pk),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item != nil
}

// listeners reads the addresses a process listens on from the kernel, not from what the process says.
func listeners(t *testing.T, pid int) []string {
	t.Helper()
	const listen = "0A" // TCP_LISTEN
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	var found []string
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == listen && inodes[f[9]] {
				found = append(found, f[1])
			}
		}
	}
	return found
}

func TestListensOnLoopbackOnly(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skip("needs /proc:", err)
	}
	s := dynamodbtest.Server(t, root)
	got := listeners(t, s.PID())
	if len(got) != 1 {
		t.Fatalf("listening sockets of the server: got %v, want one", got)
	}
	// Little-endian hexadecimal, in the second form as an IPv4 address mapped into IPv6.
	host, _, _ := strings.Cut(got[0], ":")
	if host != "0100007F" && host != "0000000000000000FFFF00000100007F" {
		t.Errorf("address: got %s, want 127.0.0.1", host)
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, dynamodb.Config{Dir: dir})
	c := client(first.Endpoint())
	if err := dynamodb.CreateTables(t.Context(), c, "m-"); err != nil {
		t.Fatal(err)
	}
	put(t, c, "m-replay", keyed("pk", "here"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	c = client(start(t, dynamodb.Config{Dir: dir}).Endpoint())
	if err := dynamodb.CreateTables(t.Context(), c, "m-"); err != nil {
		t.Errorf("tables made by the run before: %v", err)
	}
	if !has(t, c, "m-replay", "here") {
		t.Error("the item of the run before is gone")
	}
	if has(t, c, "m-replay", "never written") {
		t.Error("the table has an item that no test wrote")
	}
}

// The launcher remembers tables' descriptions. A change of a table counts at once all the same, also for a table of the
// same form, and while items are read and written.
func TestChangesOfTablesCountAtOnce(t *testing.T) {
	c := client(dynamodbtest.Server(t, root).Endpoint())
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	for _, name := range []string{"one", "two", "busy"} {
		create(t, c, name, "pk")
	}
	for range 4 {
		busy.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				for _, table := range []string{"one", "two", "busy"} { // one may be gone, or have another key
					_, err := c.PutItem(ctx, &awsdynamodb.PutItemInput{TableName: &table, Item: keyed("pk", strconv.Itoa(n%9))})
					if table == "busy" && err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 10 {
		for _, table := range []string{"one", "two"} { // of one form: each has its own time to live all the same
			_, err := c.UpdateTimeToLive(t.Context(), &awsdynamodb.UpdateTimeToLiveInput{
				TableName: &table,
				TimeToLiveSpecification: &types.TimeToLiveSpecification{
					AttributeName: aws.String("ttl"),
					Enabled:       aws.Bool(true),
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		drop(t, c, "one")
		create(t, c, "one", "other")
		for range 3 {
			put(t, c, "one", keyed("other", "x"))
		}
		_, err := c.PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: aws.String("one"), Item: keyed("pk", "x")})
		if err == nil {
			t.Fatal("a table that was made anew takes items with the key of the former one")
		}
		for _, table := range []string{"one", "two"} {
			drop(t, c, table)
			create(t, c, table, "pk")
			put(t, c, table, keyed("pk", "x"))
		}
	}
}

func create(t *testing.T, c *awsdynamodb.Client, name, hash string) {
	t.Helper()
	_, err := c.CreateTable(t.Context(), &awsdynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &hash, AttributeType: types.ScalarAttributeTypeS}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func drop(t *testing.T, c *awsdynamodb.Client, table string) {
	t.Helper()
	if _, err := c.DeleteTable(t.Context(), &awsdynamodb.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
}

func TestCloseEndsTheProcess(t *testing.T) {
	s := start(t, dynamodb.Config{})
	if err := syscall.Kill(s.PID(), 0); err != nil {
		t.Fatalf("process %d while it serves: %v", s.PID(), err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Close: got %v, want ESRCH", s.PID(), err)
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.Endpoint(), "http://"), time.Second); err == nil {
		t.Error("something still answers at", s.Endpoint())
	}
}

func TestPortInUse(t *testing.T) {
	dynamodbtest.NeedTools(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s, err := dynamodb.Start(t.Context(), dynamodb.Config{Cache: cache, Port: port})
	if err == nil {
		s.Close()
		t.Fatal("started on a port that is taken")
	}
	if !errors.Is(err, dynamodb.ErrPortInUse) || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("got %v, want ErrPortInUse naming port %d", err, port)
	}
}

func TestStartStopsWithItsContext(t *testing.T) {
	dynamodbtest.NeedTools(t)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := dynamodb.Start(ctx, dynamodb.Config{
		Cache: cache,
		Progress: func(step string) {
			if strings.HasPrefix(step, "starting") {
				cancel()
			}
		},
	})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestParentDies starts a server from a second copy of this test binary and kills that copy in the way that leaves it
// no chance to tidy up.
func TestParentDies(t *testing.T) {
	if os.Getenv("MASTIO_TEST_PARENT") != "" {
		s := start(t, dynamodb.Config{})
		fmt.Printf("pid=%d\n", s.PID())
		select {}
	}
	dynamodbtest.NeedTools(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestParentDies$")
	cmd.Env = append(os.Environ(), "MASTIO_TEST_PARENT=1")
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	eventually(t, "the server's process id", func() bool {
		_, rest, _ := strings.Cut(out.String(), "pid=")
		line, _, whole := strings.Cut(rest, "\n")
		pid, _ = strconv.Atoi(line)
		return whole && pid > 0
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	eventually(t, "the end of the server", func() bool { return !alive(pid) })
}

// alive takes a process that waits for its new parent to collect it for dead.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
