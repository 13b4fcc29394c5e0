package main

import (
	"archive/zip"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	service "github.com/mastio-aws/mastio/localstack/aws/lambda"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/version"
)

// Budgets of a cold start.
const (
	coldStarts = 10 // of each function, one at a time
	initBudget = 60 * time.Millisecond
	zipBudget  = 5 // MiB
)

const coldSection = "cold start"

// coldStart measures the time from a function's process to its first request for work, and the size of what is
// deployed.
func (b *bench) coldStart(ctx context.Context) error {
	dir, err := b.functions(ctx)
	if err != nil {
		return err
	}
	for _, name := range routes.Functions() {
		b.say("cold start: %s", name)
		var s sample
		for range coldStarts {
			took, err := startOnce(ctx, service.Function{
				Name: name,
				Path: filepath.Join(dir, name, "bootstrap"),
				Env:  coldEnvironment(),
			})
			if err != nil {
				return err
			}
			s.each = append(s.each, took)
		}
		slices.SortFunc(s.each, cmp.Compare)
		b.report.add(coldSection, figure{
			Name:  name + ", init, p50",
			Value: ms(s.quantile(0.5)),
			Unit:  millis,
		}.within(ms(initBudget)).
			remark("slowest of %d: %.1f ms", coldStarts, ms(s.quantile(1))))
	}
	return b.zips(ctx)
}

// startOnce starts the process and ends it when it has asked for work.
func startOnce(ctx context.Context, f service.Function) (took time.Duration, err error) {
	s, err := service.New(service.Config{
		Functions: []service.Function{f},
		Warmed:    func(_ string, t time.Duration) { took = t },
	})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return took, s.Warm(ctx)
}

// coldEnvironment satisfies a function's start. The start makes no call: no server listens at the endpoints.
func coldEnvironment() map[string]string {
	const nobody = "http://127.0.0.1:9"
	return map[string]string{
		"MASTIO_ORG_ID": "orga", "MASTIO_TRUST_DOMAIN": "orga.local", "MASTIO_ISSUER": "https://localhost:9443",
		"MASTIO_TRUSTSTORE_BUCKET": "bucket", "MASTIO_TRUSTSTORE_KEY": "truststore.pem", "MASTIO_ADMIN_SECRET_ID": "secret",
		"MASTIO_AUDIT_BUCKET": "audit", "MASTIO_AUDIT_KEY": "key",
		"MASTIO_TOKEN_KEK": "key", "MASTIO_ROTATECA_FUNCTION": "rotateca", "MASTIO_EVENT_BUS": "bus",
		"MASTIO_AGENT_SECRETS_KEY": "key", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local",
		"AWS_SECRET_ACCESS_KEY": "local",
		"AWS_ENDPOINT_URL":      nobody, "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "true",
	}
}

// zips builds every function as it is deployed and reports the size of its archive.
func (b *bench) zips(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "mastio-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := b.root(ctx)
	if err != nil {
		return err
	}
	b.say("cold start: building for linux/arm64")
	args := append([]string{"build"}, version.BuildFlags("", "-buildid=")...)
	args = append(args, "-o", dir+string(filepath.Separator))
	for _, name := range routes.Functions() {
		args = append(args, "./functions/"+name)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build for linux/arm64: %w\n%s", err, out)
	}
	for _, name := range routes.Functions() {
		size, err := zipped(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		b.report.add(coldSection, figure{
			Name:  name + ", zip for arm64",
			Value: float64(size) / (1 << 20),
			Unit:  mib,
		}.within(zipBudget))
	}
	return nil
}

// zipped is the size of an archive with one file in it.
func zipped(path string) (int64, error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	var size counter
	archive := zip.NewWriter(&size)
	to, err := archive.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(to, in); err != nil {
		return 0, err
	}
	err = archive.Close()
	return int64(size), err
}

// counter counts what is written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
