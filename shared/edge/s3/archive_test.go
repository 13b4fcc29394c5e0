package s3_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/edge/s3"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

func archive(t *testing.T) *s3.Archive {
	t.Helper()
	return &s3.Archive{API: client(t), Bucket: bucket}
}

func TestArchive(t *testing.T) {
	a := archive(t)
	ctx := t.Context()
	if data, err := a.Get(ctx, "x"); err != nil || data != nil {
		t.Errorf("of nothing: %q, %v", data, err)
	}
	for range 2 {
		if err := a.Put(ctx, "c/1", []byte("one")); err != nil {
			t.Errorf("put: %v", err)
		}
	}
	if err := a.Put(ctx, "c/1", []byte("two")); !errors.Is(err, auditlog.ErrTaken) {
		t.Errorf("another under the same name: %v, want ErrTaken", err)
	}
	data, err := a.Get(ctx, "c/1")
	if diff := cmp.Diff("one", string(data)); err != nil || diff != "" {
		t.Errorf("get: %v (-want +got):\n%s", err, diff)
	}
	for n := range 5 {
		if err := a.Put(ctx, fmt.Sprintf("c/%d", n+2), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Put(ctx, "d/9", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[string]string{"": "c/6", "c/1": "c/6", "c/5": "c/6", "c/6": "", "c/7": ""} {
		if got, err := a.Last(ctx, "c/", after); err != nil || got != want {
			t.Errorf("last behind %q: %q, %v; want %q", after, got, err, want)
		}
	}
}

func TestOneOfManyArchives(t *testing.T) {
	a := archive(t)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for n := range errs {
		wg.Go(func() { errs[n] = a.Put(t.Context(), "c", []byte{byte(n)}) })
	}
	wg.Wait()
	wins := 0
	for _, err := range errs {
		if err == nil {
			wins++
		} else if !errors.Is(err, auditlog.ErrTaken) && !errors.Is(err, auditlog.ErrArchive) {
			t.Error(err)
		}
	}
	if wins != 1 {
		t.Errorf("%d wrote the object", wins)
	}
}

func TestArchiveThatIsGone(t *testing.T) {
	a := archive(t)
	a.Bucket = "another"
	if err := a.Put(t.Context(), "c", nil); !errors.Is(err, auditlog.ErrArchive) {
		t.Errorf("put: %v, want ErrArchive", err)
	}
	if _, err := a.Get(t.Context(), "c"); !errors.Is(err, auditlog.ErrArchive) {
		t.Errorf("get: %v, want ErrArchive", err)
	}
	if _, err := a.Last(t.Context(), "c", ""); !errors.Is(err, auditlog.ErrArchive) {
		t.Errorf("last: %v, want ErrArchive", err)
	}
}
