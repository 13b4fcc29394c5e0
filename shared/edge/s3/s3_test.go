package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	locals3 "github.com/mastio-aws/mastio/localstack/aws/s3"
	"github.com/mastio-aws/mastio/shared/edge/s3"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

var (
	_ truststore.Objects = (*s3.Objects)(nil)
	_ s3.API             = (*awss3.Client)(nil)
)

const bucket, key = "truststore", "agents/truststore.pem"

// serve returns an empty truststore in a versioned bucket of this process.
func serve(t *testing.T) *s3.Objects {
	t.Helper()
	return &s3.Objects{API: client(t), Bucket: bucket, Key: key}
}

func client(t *testing.T) *awss3.Client {
	t.Helper()
	server, err := locals3.New(locals3.Config{Buckets: []string{bucket}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	return awss3.New(awss3.Options{
		Region:       "us-east-1",
		BaseEndpoint: &web.URL,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
}

func replace(t *testing.T, o *s3.Objects, pem, old string) string {
	t.Helper()
	version, err := o.Replace(t.Context(), []byte(pem), old)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func present(t *testing.T, o *s3.Objects) truststore.Object {
	t.Helper()
	object, err := o.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestLifeOfTheObject(t *testing.T) {
	o := serve(t)
	if diff := cmp.Diff(truststore.Object{}, present(t, o)); diff != "" {
		t.Fatalf("before the first (-want +got):\n%s", diff)
	}
	v1 := replace(t, o, "one", "")
	first := present(t, o)
	if string(first.PEM) != "one" || first.Version != v1 || first.ETag == "" || v1 == first.ETag {
		t.Errorf("object = %+v, want version %s, which is not the ETag", first, v1)
	}
	v2 := replace(t, o, "two", first.ETag)
	if second := present(t, o); string(second.PEM) != "two" || second.Version != v2 || v1 == v2 {
		t.Errorf("object = %+v, want version %s", second, v2)
	}
}

func TestReplaceNamesWhatItReplaces(t *testing.T) {
	o := serve(t)
	refused := func(what, old string) {
		t.Helper()
		before := present(t, o)
		if version, err := o.Replace(t.Context(), []byte("other"), old); !errors.Is(err, truststore.ErrChanged) ||
			version != "" {
			t.Errorf("%s: version %q, %v; want ErrChanged", what, version, err)
		}
		if diff := cmp.Diff(before, present(t, o)); diff != "" {
			t.Errorf("%s changed the object:\n%s", what, diff)
		}
	}
	refused("replacing what is not there", `"0123456789abcdef0123456789abcdef"`)
	replace(t, o, "one", "")
	old := present(t, o).ETag
	refused("creating what is there", "")
	replace(t, o, "two", old)
	refused("replacing what was replaced", old)
}

func TestOneOfManyWins(t *testing.T) {
	o := serve(t)
	for round := range 5 {
		old := present(t, o).ETag
		var wins, losses int
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				_, err := o.Replace(context.Background(), fmt.Appendf(nil, "round %d writer %d", round, i), old)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					wins++
				case errors.Is(err, truststore.ErrChanged):
					losses++
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		if wins != 1 || losses != 7 {
			t.Errorf("round %d: %d won and %d lost", round, wins, losses)
		}
	}
}

func TestSyncOverS3(t *testing.T) {
	o := serve(t)
	all := []orgca.Generation{{Number: 1, State: orgca.Current, Root: []byte("root"), Issuing: []byte("issuing")}}
	state := memstore.New(memstore.Config{})
	if err := state.Apply(t.Context(), registry.Change{ID: "1", Generations: all}); err != nil {
		t.Fatal(err)
	}
	v1, err := truststore.Sync(t.Context(), o, state)
	if err != nil {
		t.Fatal(err)
	}
	again, err := truststore.Sync(t.Context(), o, state)
	if err != nil || again != v1 {
		t.Errorf("nothing to do: version %s, %v; want %s", again, err, v1)
	}
	if got := present(t, o).PEM; !bytes.Equal(got, truststore.PEM(all)) {
		t.Errorf("object = %s", got)
	}
}

// api is a client whose answers are made up.
type api struct {
	get func() (*awss3.GetObjectOutput, error)
	put func() (*awss3.PutObjectOutput, error)
}

// GetObject answers.
func (a api) GetObject(
	context.Context, *awss3.GetObjectInput, ...func(*awss3.Options),
) (*awss3.GetObjectOutput, error) {
	return a.get()
}

// PutObject answers.
func (a api) PutObject(
	context.Context, *awss3.PutObjectInput, ...func(*awss3.Options),
) (*awss3.PutObjectOutput, error) {
	return a.put()
}

func TestReadsThatFail(t *testing.T) {
	body := func(r io.Reader) func() (*awss3.GetObjectOutput, error) {
		return func() (*awss3.GetObjectOutput, error) {
			return &awss3.GetObjectOutput{Body: io.NopCloser(r), ETag: aws.String("e")}, nil
		}
	}
	for name, get := range map[string]func() (*awss3.GetObjectOutput, error){
		"denied":    func() (*awss3.GetObjectOutput, error) { return nil, &smithy.GenericAPIError{Code: "AccessDenied"} },
		"no bucket": func() (*awss3.GetObjectOutput, error) { return nil, &types.NoSuchBucket{} },
		"cut off":   body(io.MultiReader(strings.NewReader("half"), errReader{})),
		"too large": body(bytes.NewReader(make([]byte, 1<<20+1))),
	} {
		o := &s3.Objects{API: api{get: get}}
		if object, err := o.Read(t.Context()); !errors.Is(err, truststore.ErrStore) || object.ETag != "" ||
			strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %+v, %v; want ErrStore", name, object, err)
		}
	}
	full := &s3.Objects{API: api{get: body(bytes.NewReader(make([]byte, 1<<20)))}}
	if object, err := full.Read(t.Context()); err != nil || len(object.PEM) != 1<<20 {
		t.Errorf("of exactly the limit: %d octets, %v", len(object.PEM), err)
	}
}

type errReader struct{}

// Read fails.
func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestWritesThatFail(t *testing.T) {
	for code, want := range map[string]error{
		"PreconditionFailed": truststore.ErrChanged, "ConditionalRequestConflict": truststore.ErrChanged,
		"NoSuchKey":    truststore.ErrChanged,
		"AccessDenied": truststore.ErrStore, "NoSuchBucket": truststore.ErrStore, "SlowDown": truststore.ErrStore,
		"": truststore.ErrStore,
	} {
		o := &s3.Objects{API: api{put: func() (*awss3.PutObjectOutput, error) {
			return nil,
				&smithy.GenericAPIError{Code: code}
		}}}
		if _, err := o.Replace(t.Context(), nil, "e"); !errors.Is(err, want) {
			t.Errorf("%s: err = %v, want %v", code, err, want)
		}
	}
	o := &s3.Objects{API: api{put: func() (*awss3.PutObjectOutput, error) { return nil, io.ErrUnexpectedEOF }}}
	if _, err := o.Replace(t.Context(), nil, ""); !errors.Is(err, truststore.ErrStore) {
		t.Errorf("lost: err = %v, want ErrStore", err)
	}
}

func TestVersionWithoutVersioning(t *testing.T) {
	for _, id := range []*string{nil, aws.String("null"), aws.String("")} {
		o := &s3.Objects{API: api{
			get: func() (*awss3.GetObjectOutput, error) {
				return &awss3.GetObjectOutput{Body: io.NopCloser(strings.NewReader("x")), ETag: aws.String("e"), VersionId: id}, nil
			},
			put: func() (*awss3.PutObjectOutput, error) {
				return &awss3.PutObjectOutput{ETag: aws.String("e"), VersionId: id}, nil
			},
		}}
		object, err := o.Read(t.Context())
		written, writeErr := o.Replace(t.Context(), nil, "")
		if err != nil || writeErr != nil || object.Version != "e" || written != "e" {
			t.Errorf("version read %q, %v; written %q, %v; want the ETag", object.Version, err, written, writeErr)
		}
	}
}
