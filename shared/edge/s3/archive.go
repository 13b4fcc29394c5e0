package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// Archive keeps the audit trail's checkpoints in a bucket of their own. Objects are created and never replaced. With
// object lock and a default retention, not even the bucket's owner can replace them. It is safe for concurrent use.
type Archive struct {
	API    *s3.Client
	Bucket string
}

// maxArchived is far above a checkpoint of auditlog.MostRows leaves.
const maxArchived = 16 << 20

// Put creates an object. A repeated attempt that meets the object that the one before it made finds it the same.
func (a *Archive) Put(ctx context.Context, name string, data []byte) error {
	_, err := a.API.PutObject(ctx, &s3.PutObjectInput{
		Bucket:      aws.String(a.Bucket),
		Key:         aws.String(name),
		Body:        bytes.NewReader(data),
		IfNoneMatch: aws.String("*"),
	})
	if err == nil {
		return nil
	}
	if !changed(err) {
		return fmt.Errorf("put %s: %w: %w", name, auditlog.ErrArchive, err)
	}
	old, getErr := a.Get(ctx, name)
	switch {
	case getErr != nil:
		return getErr
	case old == nil: // another attempt is under way
		return fmt.Errorf("put %s: %w: %w", name, auditlog.ErrArchive, err)
	case !bytes.Equal(old, data):
		return fmt.Errorf("put %s: %w", name, auditlog.ErrTaken)
	}
	return nil
}

// Get reads an object.
func (a *Archive) Get(ctx context.Context, name string) ([]byte, error) {
	out, err := a.API.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(a.Bucket), Key: aws.String(name)})
	if missing := (*types.NoSuchKey)(nil); errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w: %w", name, auditlog.ErrArchive, err)
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(out.Body, maxArchived+1))
	if err != nil || len(data) > maxArchived {
		return nil, fmt.Errorf("get %s: %w: %d bytes read: %w", name, auditlog.ErrArchive, len(data),
			errors.Join(errLong, err))
	}
	return data, nil
}

var errLong = errors.New("cut off, or longer than anything that was put")

// Last finds the last name. There is rarely any: one call.
func (a *Archive) Last(ctx context.Context, prefix, after string) (last string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: aws.String(a.Bucket), Prefix: aws.String(prefix), StartAfter: aws.String(after)}
	for pages := s3.NewListObjectsV2Paginator(a.API, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list %s: %w: %w", prefix, auditlog.ErrArchive, err)
		}
		for _, o := range page.Contents {
			last = max(last, aws.ToString(o.Key))
		}
	}
	return last, nil
}
