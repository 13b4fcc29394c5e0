package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var (
	errUntrusted  = errors.New("client certificate is not trusted")
	errTruststore = errors.New("truststore cannot be read")
)

// fresh is how long a truststore is used without asking for it again.
const fresh = time.Second

// maxVerified bounds how many good certificates a bundle remembers: about 10 MB.
const maxVerified = 4096

// clientCert is a client certificate as events contain it.
type clientCert = events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert

// truststore keeps the anchors in use, and follows the object they come from.
type truststore struct {
	fetch func(ctx context.Context) (pem []byte, version string, err error)
	log   *slog.Logger

	mu      sync.Mutex
	bundle  *bundle
	fetched time.Time
}

// bundle is one version of the truststore and the certificates that were found good under it.
type bundle struct {
	version string
	anchors *x509.CertPool

	mu       sync.RWMutex
	verified map[[sha256.Size]byte]validChain
}

// validChain is a good certificate and when its whole chain, the anchor included, is valid.
type validChain struct {
	cert                *clientCert
	notBefore, notAfter time.Time
}

// InS3 reads the truststore object for Config.Truststore. Before the first Org CA there is no object, and the gateway
// trusts no client.
func InS3(c *s3.Client, bucket, key string) func(context.Context) (pem []byte, version string, err error) {
	return func(ctx context.Context) ([]byte, string, error) {
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
			return nil, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		defer out.Body.Close()
		text, err := io.ReadAll(out.Body)
		return text, aws.ToString(out.ETag), err
	}
}

// check returns what an event says about a client certificate (the first one; the others are
// what the client sent along), errUntrusted or errTruststore. check refuses a certificate only after a fresh read of
// the truststore, so it never refuses a certificate of a CA that has just been added. A certificate of a CA that has
// just been removed may pass for another second.
func (t *truststore) check(ctx context.Context, chain []*x509.Certificate, now time.Time) (*clientCert, error) {
	b, asked, err := t.current(ctx, now, fresh)
	if err != nil {
		return nil, err
	}
	cert, err := b.check(chain, now)
	if err == nil || asked {
		return cert, err
	}
	if b, _, err = t.current(ctx, now, 0); err != nil {
		return nil, err
	}
	return b.check(chain, now)
}

// current returns a bundle not older than age, and whether the truststore had to be asked for it.
func (t *truststore) current(ctx context.Context, now time.Time, age time.Duration) (b *bundle, asked bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := now.Sub(t.fetched); t.bundle != nil && since >= 0 && since < age {
		return t.bundle, false, nil
	}
	text, version, err := t.fetch(ctx)
	if err != nil {
		return nil, true, fmt.Errorf("%w: %w", errTruststore, err)
	}
	t.fetched = now
	if t.bundle == nil || t.bundle.version != version {
		t.bundle = t.parse(text, version)
	}
	return t.bundle, true, nil
}

// parse takes every certificate of the object for an anchor. As API Gateway, it passes over what it cannot read.
func (t *truststore) parse(text []byte, version string) *bundle {
	b := &bundle{version: version, anchors: x509.NewCertPool(), verified: map[[sha256.Size]byte]validChain{}}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		anchor, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			t.log.Warn("gateway.truststore", "version", version, "ignored", block.Type, "cause", err)
			continue
		}
		b.anchors.AddCert(anchor)
	}
	return b
}

// check verifies a chain, or remembers having done so: two signatures cost more than the rest of a request.
func (b *bundle) check(chain []*x509.Certificate, now time.Time) (*clientCert, error) {
	key := fingerprint(chain)
	b.mu.RLock()
	v, known := b.verified[key]
	b.mu.RUnlock()
	if known && !now.Before(v.notBefore) && !now.After(v.notAfter) {
		return v.cert, nil
	}
	v, err := b.verify(chain, now)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.verified) >= maxVerified {
		clear(b.verified)
	}
	b.verified[key] = v
	return v.cert, nil
}

// verify builds a chain (RFC 5280 section 6). Every certificate in it has to be in its validity period, the
// anchor too, and any extended key usage has to allow clientAuth.
func (b *bundle) verify(chain []*x509.Certificate, now time.Time) (validChain, error) {
	sent := x509.NewCertPool()
	for _, c := range chain[1:] {
		sent.AddCert(c)
	}
	paths, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         b.anchors,
		Intermediates: sent,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return validChain{}, fmt.Errorf("%w: %w", errUntrusted, err)
	}
	v := validChain{cert: describe(chain[0]), notBefore: chain[0].NotBefore, notAfter: chain[0].NotAfter}
	for _, c := range paths[0] {
		if c.NotBefore.After(v.notBefore) {
			v.notBefore = c.NotBefore
		}
		if c.NotAfter.Before(v.notAfter) {
			v.notAfter = c.NotAfter
		}
	}
	return v, nil
}

// fingerprint covers all that the client sent: the same leaf with other intermediates is another question.
func fingerprint(chain []*x509.Certificate) [sha256.Size]byte {
	if len(chain) == 1 {
		return sha256.Sum256(chain[0].Raw)
	}
	h := sha256.New()
	for _, c := range chain {
		_, _ = h.Write(c.Raw) // DER says its own length, so the parts cannot run together
	}
	return [sha256.Size]byte(h.Sum(nil))
}
