// Package tsa asks a time-stamping authority (RFC 3161) over HTTP.
package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/mastio-aws/mastio/shared/audit/rfc3161"
)

// ErrAuthority reports that no token was to be had that holds.
var ErrAuthority = errors.New("time-stamping authority did not grant a token")

const (
	// timeout bounds the whole request: a checkpoint waits for its stamp, and is made without a stamp if none comes.
	timeout   = 5 * time.Second
	maxAnswer = 64 << 10
)

// Client asks one authority. It is safe for concurrent use.
type Client struct {
	URL  string
	HTTP *http.Client // nil: one that follows no redirection
}

// At returns the Stamp of a Client of the authority at a URL.
func At(url string) func(ctx context.Context, digest []byte) ([]byte, error) {
	return (&Client{URL: url}).Stamp
}

// Stamp returns a token over a SHA-256 digest, with the authority's certificates in it, so that it can be verified when
// the authority is long gone. Errors: ErrAuthority.
func (c *Client) Stamp(ctx context.Context, digest []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	query := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest, Certificates: true, Nonce: nonce}
	body, err := query.Marshal()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	answer, err := c.post(ctx, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	return token(answer, digest, nonce)
}

// token reads and checks an answer. A token that does not verify now never will, so it is checked before it is kept.
func token(answer, digest []byte, nonce *big.Int) (raw []byte, err error) {
	defer func() { // the decoder is not made for hostile input
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: its answer cannot be decoded: %v", ErrAuthority, v)
		}
	}()
	parsed, err := timestamp.ParseResponse(answer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	if parsed.Nonce == nil || parsed.Nonce.Cmp(nonce) != 0 {
		return nil, fmt.Errorf("%w: the answer is to another request", ErrAuthority)
	}
	if _, _, err := rfc3161.Checker(nil)(parsed.RawToken, digest); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	return parsed.RawToken, nil
}

func (c *Client) post(ctx context.Context, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/timestamp-query")
	client := c.HTTP
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/timestamp-reply" ||
		len(answer) > maxAnswer {
		return nil, fmt.Errorf("status %d, %q, %d octets", resp.StatusCode, resp.Header.Get("Content-Type"), len(answer))
	}
	return answer, nil
}
