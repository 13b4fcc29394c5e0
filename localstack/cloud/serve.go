package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
	"github.com/mastio-aws/mastio/localstack/gateway"
	"github.com/mastio-aws/mastio/localstack/machine"
)

// serve runs the gateway of the deployment until its context ends. It terminates mutual TLS against the truststore
// object in LocalStack's S3 and invokes functions through LocalStack's Lambda; requests of operators go to their API
// in LocalStack's API Gateway.
func (c *cloud) serve(ctx context.Context) error {
	d, err := deployed.Read(c.deploymentFile())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.edge)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is in use by another process; stop that process: "+
			"the functions' settings contain this port", c.edge)
	}
	if err != nil {
		return err
	}
	web, err := c.edgeServer(d)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- web.ServeTLS(l, "", "") }()
	c.say("gateway on " + d.URL)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if web.Shutdown(grace) != nil {
		web.Close()
	}
	return nil
}

func (c *cloud) edgeServer(d deployed.Mastio) (*http.Server, error) {
	made, err := gateway.SelfSigned(time.Now())
	if err != nil {
		return nil, err
	}
	cert, err := made.Certificate()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.CAFile, made.CA, 0o644); err != nil {
		return nil, err
	}
	operators, err := through(d.OperatorsURL)
	if err != nil {
		return nil, err
	}
	clients := deployed.Connect(d.Endpoint)
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	g := gateway.New(gateway.Config{
		Invoke: func(ctx context.Context, function string, payload []byte) ([]byte, string, error) {
			return clients.Invoke(ctx, d.OrgID, function, payload)
		},
		Truststore: gateway.InS3(clients.S3, d.Bucket, d.TruststoreKey),
		Operators:  operators,
		Account:    deployed.Account,
		Log:        log,
	})
	return &http.Server{
		Handler:           g,
		TLSConfig:         g.TLSConfig(cert),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}, nil
}

// through passes requests on to an API, below the path of its stage. They keep their host, as behind a custom domain,
// because the dashboard recognises its own forms by the host.
func through(api string) (http.Handler, error) {
	to, err := url.Parse(api)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}, nil
}

func (c *cloud) gateway() machine.PIDFile {
	return machine.PIDFile(filepath.Join(c.dir, "gateway.pid"))
}

// startGateway runs `serve` in the background, in place of one that runs already, and waits until it answers.
func (c *cloud) startGateway(ctx context.Context) error {
	c.gateway().Stop(gatewayGrace)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(c.dir, "gateway.log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close() // the process has it
	cmd := exec.Command(self, "serve", "--org", c.org, "--edge", strconv.Itoa(c.edge))
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = c.root, log, log, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	if err := c.gateway().Write(cmd.Process.Pid); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", c.edge), time.Second)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the gateway ended at its start; %s says why", path)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("the gateway does not answer; %s has the details", path)
}

const gatewayGrace = 5 * time.Second
