// Package sigv4 checks that a request to a stand-in is signed with an access key of this run, as every AWS SDK signs
// it: Signature Version 4, in the Authorization header, with the hash of the body. All users of a machine share
// loopback, so an open stand-in would hand the admin secret to each of them.
package sigv4

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Keys are the access keys of one run: a secret for each access key id.
type Keys map[string]string

// NewKeys makes a random secret (256 bits) for each id. Ids are letters and digits: DynamoDB Local takes no others.
func NewKeys(ids ...string) Keys {
	k := Keys{}
	for _, id := range ids {
		var b [32]byte
		rand.Read(b[:]) //nolint:errcheck // never fails; the process ends when there is no randomness
		k[id] = hex.EncodeToString(b[:])
	}
	return k
}

// Provider returns the credentials of one id, for an AWS client.
func (k Keys) Provider(id string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(id, k[id], "")
}

// MaxBody is the size limit of a signed request's body, in bytes: above the limit of every stand-in.
const MaxBody = 32 << 20

// The reasons for a refusal, in AWS's words.
var (
	errMissing   = errors.New("MissingAuthenticationTokenException: the request is not signed")
	errUnknown   = errors.New("UnrecognizedClientException: the access key is not one of this run")
	errScope     = errors.New("InvalidSignatureException: the signature is for another service, or has no date")
	errSignature = errors.New("InvalidSignatureException: the signature does not match the request")
	errBody      = errors.New("RequestEntityTooLargeException: the body is incomplete or too long")
)

// advice is for a person: the SDKs print the message as it is.
const advice = "; the access keys of a run are in build/run/aws.env, which changes with every start"

// Check returns h behind a check of the signature. service is the name in the signature's scope, such as "kms". Check
// accepts a signature of any age: only root can record traffic on loopback, and a test may give a function a clock of
// its own.
func (k Keys) Check(service string, h http.Handler) http.Handler {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := k.verify(signer, service, w, r); err != nil {
			refuse(w, service, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// claim is what an Authorization header says.
type claim struct {
	id, region, service string
	headers             []string
	signature           string
}

// parse reads: AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=hex.
func parse(header string) (c claim, ok bool) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return c, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return c, false
			}
			c.id, c.region, c.service = scope[0], scope[2], scope[3]
		case "SignedHeaders":
			c.headers = strings.Split(value, ";")
		case "Signature":
			c.signature = value
		}
	}
	return c, c.id != "" && c.signature != ""
}

// verify replaces the request's body by what was read of it.
func (k Keys) verify(signer *v4.Signer, service string, w http.ResponseWriter, r *http.Request) error {
	c, ok := parse(r.Header.Get("Authorization"))
	if !ok {
		return errMissing
	}
	secret, known := k[c.id]
	if !known {
		return errUnknown
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || c.service != service {
		return errScope
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return errBody
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	// S3 clients name the hash. One that says the body is not signed asks for less than what is asked for here.
	if named := r.Header.Get("X-Amz-Content-Sha256"); named != "" && named != hash {
		return errSignature
	}
	again := rebuild(r, c)
	err = signer.SignHTTP(r.Context(), aws.Credentials{
		AccessKeyID:     c.id,
		SecretAccessKey: secret,
	}, again, hash, service, c.region, at)
	if err != nil {
		return fmt.Errorf("%w: %w", errSignature, err)
	}
	want, _ := parse(again.Header.Get("Authorization"))
	if !hmac.Equal([]byte(want.signature), []byte(c.signature)) {
		return errSignature
	}
	return nil
}

// rebuild is the request as the client had it when it signed: with the headers that it signed and no others. The signer
// adds host and date whether the client named them or not, so a signature that leaves them out does not match.
func rebuild(r *http.Request, c claim) *http.Request {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	again := &http.Request{
		Method: r.Method,
		Host:   r.Host,
		Header: http.Header{},
		URL:    &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: query},
	}
	for _, name := range c.headers {
		switch canonical := http.CanonicalHeaderKey(name); canonical {
		case "Host":
		case "Content-Length":
			again.ContentLength = r.ContentLength
		default:
			if values := r.Header.Values(canonical); len(values) > 0 {
				again.Header[canonical] = values
			}
		}
	}
	return again.WithContext(context.WithoutCancel(r.Context()))
}

// refuse answers as the service does: S3 in XML, the others in JSON.
func refuse(w http.ResponseWriter, service string, err error) {
	code, text, _ := strings.Cut(err.Error(), ": ")
	text += advice
	w.Header().Set("Connection", "close") // what is left of the body is not read
	if service == "s3" {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<?xml version=\"1.0\" "+
			"encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>%s</Message></Error>", text)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, text)
}
