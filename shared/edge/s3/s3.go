// Package s3 keeps the truststore object in Amazon S3.
package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// API is the part of the S3 client that this package calls.
type API interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// Objects is the truststore object. It is safe for concurrent use, across processes too: a write names what it
// replaces.
type Objects struct {
	API    API
	Bucket string
	Key    string
}

// Read returns the present object, the zero Object if there is none.
func (o *Objects) Read(ctx context.Context) (truststore.Object, error) {
	out, err := o.API.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(o.Bucket), Key: aws.String(o.Key)})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return truststore.Object{}, nil
	}
	if err != nil {
		return truststore.Object{}, fmt.Errorf("%w: %w", truststore.ErrStore, err)
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(out.Body, truststore.MaxOctets+1))
	if err != nil {
		return truststore.Object{}, fmt.Errorf("%w: %d bytes read: %w", truststore.ErrStore, len(data), err)
	}
	if len(data) > truststore.MaxOctets {
		return truststore.Object{}, fmt.Errorf("%w: object of more than %d bytes", truststore.ErrStore, truststore.MaxOctets)
	}
	etag := aws.ToString(out.ETag)
	return truststore.Object{PEM: data, ETag: etag, Version: version(out.VersionId, etag)}, nil
}

// Replace writes the object iff it still has the ETag old; the empty one stands for no object.
func (o *Objects) Replace(ctx context.Context, pem []byte, old string) (string, error) {
	in := &s3.PutObjectInput{
		Bucket:      aws.String(o.Bucket),
		Key:         aws.String(o.Key),
		Body:        bytes.NewReader(pem),
		ContentType: aws.String("application/x-pem-file"),
	}
	if old == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(old)
	}
	out, err := o.API.PutObject(ctx, in)
	if changed(err) {
		return "", fmt.Errorf("%w: %w", truststore.ErrChanged, err)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", truststore.ErrStore, err)
	}
	return version(out.VersionId, aws.ToString(out.ETag)), nil
}

// changed is also true if the condition failed because a first attempt had succeeded and its answer was lost: the
// next read finds the wanted object.
func changed(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey":
		return true
	}
	return false
}

func version(id *string, etag string) string {
	v := aws.ToString(id)
	if v == "null" { // S3's word for an object of an unversioned bucket
		v = ""
	}
	return cmp.Or(v, etag)
}
