// Package status publishes which access tokens died before their time: one signed document for every resource server,
// which so needs no question to the Mastio for a token.
//
// The document says nothing of agents by their names, and no reasons. Package verifier has its form, and judges by it.
package status

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
)

// Store is what publishing needs of the registry.
type Store interface {
	Status(ctx context.Context, since time.Time) (registry.Status, error)
	PutStatusNote(ctx context.Context, n registry.StatusNote, was int64) error
}

// Keys gives the key to sign with at now; its public half is in the JWKS.
type Keys interface {
	Signing(ctx context.Context, now time.Time) (*token.Key, error)
}

// Config is what a Publisher is made of; all fields are required.
type Config struct {
	Store  Store
	Keys   Keys
	Issuer string // issuer identifier, as in tokens
	Now    func() time.Time
}

// Publisher publishes the status of one instance. It is safe for concurrent use.
type Publisher struct {
	Config
	mu   sync.Mutex
	last Publication
}

// New returns a Publisher.
func New(cfg Config) *Publisher { return &Publisher{Config: cfg} }

// Publication is a signed document, and what names it: two documents with one Seq and IssuedAt say the same.
type Publication struct {
	Compact  string
	Seq      int64
	IssuedAt time.Time
}

// MaxAge is for how long an instance hands out a document, and a cache may keep it.
const MaxAge = time.Second

// Document returns the current signed status, or a document that is younger than MaxAge. A new document costs a
// signature, three reads and, if its content changed, a conditional write.
//
// Errors: registry.ErrUnavailable, registry.ErrUnknown and registry.ErrConflict where others keep changing the status;
// those of the keys.
func (p *Publisher) Document(ctx context.Context) (Publication, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	if age := now.Sub(p.last.IssuedAt); p.last.Compact != "" && age >= 0 && age < MaxAge {
		return p.last, nil
	}
	document, err := p.compose(ctx, now)
	if err != nil {
		return Publication{}, fmt.Errorf("compose the status: %w", err)
	}
	key, err := p.Keys.Signing(ctx, now)
	if err != nil {
		return Publication{}, fmt.Errorf("sign the status: %w", err)
	}
	compact, err := document.Sign(key.Assertions.ID, key.Assertions.Signer)
	if err != nil {
		return Publication{}, fmt.Errorf("sign the status: %w", err)
	}
	p.last = Publication{compact, document.Seq, document.IssuedAt}
	return p.last, nil
}

// composeTries bounds the rounds in which another instance publishes another content first.
const composeTries = 5

// compose reads what has died, and numbers it: a content takes the next number when it is published first.
//
// The note of the last number is read before the content. So the content is at least as new as the note, and what is
// published under a number is never older than what has the number already.
func (p *Publisher) compose(ctx context.Context, now time.Time) (verifier.Document, error) {
	for range composeTries {
		st, err := p.Store.Status(ctx, now.Add(-agent.DeathKept))
		if err != nil {
			return verifier.Document{}, err
		}
		document := p.content(st, now)
		digest := document.Digest()
		note := registry.StatusNote{Seq: st.Note.Seq, Digest: base64.RawURLEncoding.EncodeToString(digest[:])}
		if note == st.Note {
			document.Seq = note.Seq
			return document, nil
		}
		// By the clock, so that it rises even where the registry was restored without the note.
		note.Seq = max(st.Note.Seq+1, now.Unix())
		err = p.Store.PutStatusNote(ctx, note, st.Note.Seq)
		if err == nil {
			document.Seq = note.Seq
			return document, nil
		}
		if !errors.Is(err, registry.ErrConflict) && !errors.Is(err, registry.ErrUnknown) {
			return verifier.Document{}, err
		}
	}
	return verifier.Document{}, registry.ErrConflict
}
