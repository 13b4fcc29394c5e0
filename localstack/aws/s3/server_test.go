package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/s3"
)

const bucket = "truststore"

func serve(t *testing.T, cfg s3.Config) *awss3.Client {
	t.Helper()
	cfg.Buckets = []string{bucket}
	s, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() { web.Close(); s.Close() })
	return awss3.New(awss3.Options{
		Region:       "us-east-1",
		BaseEndpoint: &web.URL,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
}

type condition func(*awss3.PutObjectInput)

func ifMatch(etag string) condition { return func(in *awss3.PutObjectInput) { in.IfMatch = &etag } }

func ifNone(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }

func put(t *testing.T, c *awss3.Client, key, body string, conditions ...condition) (*awss3.PutObjectOutput, error) {
	t.Helper()
	in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(body)}
	for _, cond := range conditions {
		cond(in)
	}
	return c.PutObject(t.Context(), in)
}

func mustPut(t *testing.T, c *awss3.Client, key, body string, conditions ...condition) *awss3.PutObjectOutput {
	t.Helper()
	out, err := put(t, c, key, body, conditions...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type object struct{ Body, ETag, Version string }

func get(t *testing.T, c *awss3.Client, key, version string) object {
	t.Helper()
	in := &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}
	if version != "" {
		in.VersionId = &version
	}
	out, err := c.GetObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return object{string(body), aws.ToString(out.ETag), aws.ToString(out.VersionId)}
}

func status(err error) int {
	if r, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return r.HTTPStatusCode()
	}
	return 0
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// backends runs a test in memory and on disk.
func backends(t *testing.T, test func(*testing.T, *awss3.Client)) {
	t.Run("memory", func(t *testing.T) { test(t, serve(t, s3.Config{})) })
	t.Run("disk", func(t *testing.T) { test(t, serve(t, s3.Config{Dir: filepath.Join(t.TempDir(), "s3")})) })
}

func TestConditionalPut(t *testing.T) {
	backends(t, func(t *testing.T, c *awss3.Client) {
		if _, err := put(t, c, "k", "0", ifMatch(`"d41d8cd98f00b204e9800998ecf8427e"`)); status(err) != 404 ||
			code(err) != "NoSuchKey" {
			t.Errorf("If-Match without an object: got %v, want 404 NoSuchKey", err)
		}
		first := mustPut(t, c, "k", "1", ifNone)
		if _, err := put(t, c, "k", "2", ifNone); status(err) != 412 || code(err) != "PreconditionFailed" {
			t.Errorf("If-None-Match over an object: got %v, want 412", err)
		}
		second := mustPut(t, c, "k", "2", ifMatch(*first.ETag))
		if _, err := put(t, c, "k", "3", ifMatch(*first.ETag)); status(err) != 412 || code(err) != "PreconditionFailed" {
			t.Errorf("If-Match with a stale ETag: got %v, want 412", err)
		}
		want := object{"2", *second.ETag, aws.ToString(second.VersionId)}
		if diff := cmp.Diff(want, get(t, c, "k", "")); diff != "" {
			t.Errorf("object (-want +got):\n%s", diff)
		}
		if _, err := put(t, c, "k", "4", func(in *awss3.PutObjectInput) { in.IfNoneMatch = first.ETag }); status(err) != 501 {
			t.Errorf("If-None-Match with an ETag: got %v, want 501", err)
		}
	})
}

func TestConditionalPutAfterDelete(t *testing.T) {
	backends(t, func(t *testing.T, c *awss3.Client) {
		first := mustPut(t, c, "k", "1")
		if _, err := c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{
			Bucket: aws.String(bucket),
			Key:    aws.String("k"),
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := put(t, c, "k", "2", ifMatch(*first.ETag)); status(err) != 404 {
			t.Errorf("If-Match on a deleted object: got %v, want 404", err)
		}
		mustPut(t, c, "k", "2", ifNone)
	})
}

func TestOneOfManyConditionalPutsWins(t *testing.T) {
	backends(t, func(t *testing.T, c *awss3.Client) {
		etag := *mustPut(t, c, "k", "start").ETag
		const writers = 50
		errs := make([]error, writers)
		var group sync.WaitGroup
		for i := range writers {
			group.Go(func() { _, errs[i] = put(t, c, "k", fmt.Sprintf("writer %d", i), ifMatch(etag)) })
		}
		group.Wait()
		var won []string
		for i, err := range errs {
			switch {
			case err == nil:
				won = append(won, fmt.Sprintf("writer %d", i))
			case status(err) != 412:
				t.Errorf("writer %d: got %v, want 412", i, err)
			}
		}
		if len(won) != 1 {
			t.Fatalf("winners: got %v, want one", won)
		}
		if got := get(t, c, "k", ""); got.Body != won[0] {
			t.Errorf("object: got %q, want %q", got.Body, won[0])
		}
	})
}

func TestVersions(t *testing.T) {
	backends(t, func(t *testing.T, c *awss3.Client) {
		first, second := mustPut(t, c, "k", "1"), mustPut(t, c, "k", "2")
		if aws.ToString(first.VersionId) == "" || aws.ToString(first.VersionId) == aws.ToString(second.VersionId) {
			t.Fatalf("versions: got %q and %q, want two names", aws.ToString(first.VersionId), aws.ToString(second.VersionId))
		}
		if got := get(t, c, "k", *first.VersionId); got.Body != "1" {
			t.Errorf("first version: got %q, want 1", got.Body)
		}
	})
}

func TestMissing(t *testing.T) {
	c := serve(t, s3.Config{})
	_, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	if _, ok := errors.AsType[*types.NoSuchKey](err); !ok {
		t.Errorf("object: got %v, want NoSuchKey", err)
	}
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket:  aws.String("other"),
		Key:     aws.String("k"),
		IfMatch: aws.String(`"x"`),
		Body:    strings.NewReader(""),
	})
	if code(err) != "NoSuchBucket" {
		t.Errorf("bucket: got %v, want NoSuchBucket", err)
	}
}

func TestObjectsSurvive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s3")
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := serve(t, s3.Config{Dir: dir, Now: func() time.Time { return then }})
	first := mustPut(t, c, "k", "1")
	put(t, c, "k", "refused", ifNone)
	mustPut(t, c, "k", "2", ifMatch(*first.ETag))
	mustPut(t, c, "gone", "x")
	if _, err := c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{
		Bucket: aws.String(bucket),
		Key:    aws.String("gone"),
	}); err != nil {
		t.Fatal(err)
	}
	want := []object{get(t, c, "k", ""), get(t, c, "k", *first.VersionId)}

	// A crash in the middle of a write leaves half a line.
	path := filepath.Join(dir, "s3.journal")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"Time":"2026-01-02T`)
	f.Close()

	for range 2 {
		again := serve(t, s3.Config{Dir: dir})
		if diff := cmp.Diff(want, []object{get(t, again, "k", ""), get(t, again, "k", *first.VersionId)}); diff != "" {
			t.Errorf("after a restart (-want +got):\n%s", diff)
		}
		head, err := again.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		if !head.LastModified.Equal(then) {
			t.Errorf("last modified: got %v, want %v", head.LastModified, then)
		}
		if _, err := again.HeadObject(t.Context(), &awss3.HeadObjectInput{
			Bucket: aws.String(bucket),
			Key:    aws.String("gone"),
		}); status(err) != 404 {
			t.Errorf("deleted object: got %v, want 404", err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal: got %v (%v), want mode 600", info, err)
	}
}

func TestJournalHoldsNoSignature(t *testing.T) {
	dir := t.TempDir()
	mustPut(t, serve(t, s3.Config{Dir: dir}), "k", "1")
	b, err := os.ReadFile(filepath.Join(dir, "s3.journal"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(`/truststore/k`)) || bytes.Contains(b, []byte("Signature")) {
		t.Errorf("journal: got %s, want the object and no signature", b)
	}
}

func TestDamagedJournal(t *testing.T) {
	for _, line := range []string{"not json\n", `{"Method":"PUT","URL":"/nobucket/k"}` + "\n",
		`{"Method":" ","URL":"%"}` + "\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "s3.journal"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s3.New(s3.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: got %v, want an error naming line 1", line, err)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	s, err := s3.New(s3.Config{Buckets: []string{bucket}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, header, value string
		want                int
	}{
		{"chunked with a trailer", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", http.StatusNotImplemented},
		{"wrong checksum", "X-Amz-Checksum-Crc32", "AAAAAA==", http.StatusBadRequest},
		{"right checksum", "X-Amz-Checksum-Crc32", "NhCmhg==", http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("PUT", "/truststore/k", strings.NewReader("hello"))
			r.Header.Set(tt.header, tt.value)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	s, err := s3.New(s3.Config{Buckets: []string{bucket}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("PUT", "/truststore/k", strings.NewReader("x")))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("write after Close: got %d, want 500", w.Code)
	}
}
