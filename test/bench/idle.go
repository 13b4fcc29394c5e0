package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/edge/tsa"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// idleRun is what a run of a job uses that finds nothing to do.
type idleRun struct {
	reads, writes float64 // DynamoDB's units
	objects       int64   // of S3 that are read
	lists         int64   // of objects of S3
	keys          int     // calls of KMS
	secrets       int64   // calls of Secrets Manager
	logged        float64 // octets of metrics and log
	metrics       []string
}

// text is an idle run in the words of infra/README.md; a job's metrics have a row of their own.
func (r idleRun) text() string {
	var all []string
	for _, used := range []struct {
		n    float64
		what string
	}{
		{r.reads, "reads"}, {r.writes, "writes"}, {float64(r.objects), "S3 reads"}, {float64(r.lists), "S3 lists"},
		{float64(r.keys), "KMS calls"},
		{float64(r.secrets), "secret reads"}, {rounded(r.logged), "octets of metrics and log"},
	} {
		if used.n > 0 {
			what := used.what
			if used.n == 1 {
				what = strings.TrimSuffix(what, "s")
			}
			all = append(all, fmt.Sprintf("%.6g %s", used.n, what))
		}
	}
	return strings.Join(all, ", ")
}

// tally are services outside that count how often they are asked.
type tally struct {
	truststore.Objects
	auditlog.Archive
	secrets.API
	objects, lists, secrets atomic.Int64
}

func (c *tally) Read(ctx context.Context) (truststore.Object, error) {
	c.objects.Add(1)
	return c.Objects.Read(ctx)
}

func (c *tally) Get(ctx context.Context, name string) ([]byte, error) {
	c.objects.Add(1)
	return c.Archive.Get(ctx, name)
}

func (c *tally) Last(ctx context.Context, prefix, after string) (string, error) {
	c.lists.Add(1)
	return c.Archive.Last(ctx, prefix, after)
}

// GetSecretValue counts a call that finds no such version too: it has its price.
func (c *tally) GetSecretValue(
	ctx context.Context, in *secretsmanager.GetSecretValueInput, opts ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	c.secrets.Add(1)
	return c.API.GetSecretValue(ctx, in, opts...)
}

// job is a scheduled function.
type job struct {
	name  string
	every time.Duration // as scheduled unless a setting says otherwise
	run   func(context.Context) error
}

// jobs are the scheduled functions, each as one instance that serves run after run.
func (s *shop) jobs() ([]job, error) {
	standbyJob, err1 := started[func(context.Context) (standby.Report, error)](boot.Standby(s.parts))
	hygiene, err2 := boot.Hygiene(s.parts)
	checkpoint, err3 := started[func(context.Context, json.RawMessage) (any, error)](boot.Checkpoint(tsa.At)(s.parts))
	asked := func(event string) func(context.Context) error { // as Lambda passes the schedule's event on
		return func(ctx context.Context) error {
			_, err := runtime.NewHandler(hygiene).Invoke(ctx, []byte(event))
			return err
		}
	}
	return []job{
		{"standby", 2 * time.Minute, func(ctx context.Context) error { _, err := standbyJob(ctx); return err }},
		{"checkpoint", 15 * time.Minute, func(ctx context.Context) error {
			_, err := checkpoint(ctx, json.RawMessage(`{}`))
			return err
		}},
		{"hygiene", 24 * time.Hour, asked(`{}`)},
		{"reissue", time.Minute, asked(`{"reissue":true}`)},
	}, errors.Join(err1, err2, err3)
}

// idle measures each job when it last ran a period ago and nothing has happened since.
func (s *shop) idle(ctx context.Context) (map[string]idleRun, error) {
	jobs, err := s.jobs()
	if err != nil {
		return nil, err
	}
	all := map[string]idleRun{}
	for _, j := range jobs {
		for _, other := range jobs { // what there was to do is done
			if err := other.run(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", other.name, err)
			}
		}
		s.ahead.Add(int64(j.every))
		if all[j.name], err = s.run(ctx, j); err != nil {
			return nil, fmt.Errorf("%s: %w", j.name, err)
		}
	}
	return all, nil
}

// run measures one run.
func (s *shop) run(ctx context.Context, j job) (idleRun, error) {
	s.sum = spent{}
	s.log.Reset()
	o, keys := s.outside, s.calls()
	objects, lists, asked := o.objects.Load(), o.lists.Load(), o.secrets.Load()
	if err := j.run(ctx); err != nil {
		return idleRun{}, err
	}
	used := idleRun{
		reads:   s.sum.reads,
		writes:  s.sum.writes,
		objects: o.objects.Load() - objects,
		lists:   o.lists.Load() - lists,
		keys:    s.calls() - keys,
		secrets: o.secrets.Load() - asked,
	}
	for line := range bytes.Lines(s.log.Bytes()) {
		used.logged += float64(len(bytes.TrimSpace(line)) + logOverhead)
		used.metrics = append(used.metrics, metricsOf(line)...)
	}
	slices.Sort(used.metrics)
	return used, nil
}

// calls is how often KMS was asked.
func (s *shop) calls() (n int) {
	for _, times := range s.keys.Calls() {
		n += times
	}
	return n
}

// metricsOf are the names of the metrics in a line of the embedded metric format.
func metricsOf(line []byte) (names []string) {
	var l struct {
		AWS struct {
			CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
		} `json:"_aws"`
	}
	if json.Unmarshal(line, &l) != nil {
		return nil
	}
	for _, group := range l.AWS.CloudWatchMetrics {
		for _, m := range group.Metrics {
			names = append(names, m.Name)
		}
	}
	return names
}

// liveKeys is how many keys of the Org CA cost a dollar a month.
func (s *shop) liveKeys() (n int) {
	for _, k := range s.keys.All() {
		if k.State == inmemory.Enabled || k.State == inmemory.Disabled {
			n++
		}
	}
	return n
}

// orgCARotation measures a rotation of the Org CA that has a standby, and what the standby job does after it.
func (s *shop) orgCARotation(ctx context.Context) (rotation, next spent, err error) {
	rotation, err = s.during(1, "", func(int) error {
		_, err := s.rotateCA.Do(ctx, rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}})
		return err
	})
	if err != nil {
		return rotation, next, err
	}
	jobs, err := s.jobs()
	if err != nil {
		return rotation, next, err
	}
	next, err = s.during(1, "", func(int) error { return jobs[0].run(ctx) })
	return rotation, next, err
}
