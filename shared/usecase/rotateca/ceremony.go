package rotateca

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/dn"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/upload"
)

// ErrKeys reports that the key store did not do what it was asked. Its cause is for the log, not for a caller.
var ErrKeys = problem.New(503, "key_store_unavailable", "key store refused").
	Says("The key store did not do its part. Nothing was changed; retry.").
	After(5 * time.Second)

// CeremonyStore is what a ceremony needs of the registry.
type CeremonyStore interface {
	Org(ctx context.Context) (registry.Org, error)
	Apply(ctx context.Context, c registry.Change) error
}

// Role is the role of a key in its generation.
type Role string

// The roles of a key.
const (
	Root    Role = "root"
	Issuing Role = "issuing"
)

// KeySpec says what a new key is for. It becomes the key's tags, by which an orphan is found.
type KeySpec struct {
	Generation int64
	RotationID string
	Role       Role
}

// Keys makes and uses the keys of Org CAs. A key never leaves them.
type Keys interface {
	// Create makes a P-256 signing key.
	Create(ctx context.Context, spec KeySpec) (id string, pub crypto.PublicKey, err error)
	// Import takes in a private key that was made elsewhere: EC on P-256 or P-384, or RSA of 2048, 3072 or 4096 bits.
	// pub is read back from the key store and equals the public half of key. After an error, an ErrKeys, no usable key
	// is left. A key that waits for its deletion, or whose creation was not confirmed, carries the rotation's tag.
	// Import keeps no copy of key: the caller overwrites it.
	Import(ctx context.Context, spec KeySpec, key crypto.Signer) (id string, pub crypto.PublicKey, err error)
	// Signer returns the key as a signer of digests whose calls end with ctx.
	Signer(ctx context.Context, id string, pub crypto.PublicKey) crypto.Signer
	// Disable makes the key refuse to sign until it is enabled again. Disabling a disabled key is no error.
	Disable(ctx context.Context, id string) error
	// ScheduleDeletion lets the key go after the longest waiting period. Doing so again is no error.
	ScheduleDeletion(ctx context.Context, id string) error
	// Tagged finds the keys made for a rotation.
	Tagged(ctx context.Context, rotationID string) ([]string, error)
	// Note writes onto a key itself under which fence its generation was superseded; zero takes that back.
	Note(ctx context.Context, id string, fence int64) error
	// Noted reads what Note wrote; zero: nothing. It works on a key that is scheduled for deletion, too.
	Noted(ctx context.Context, id string) (fence int64, err error)
}

// CeremonyConfig is what a Ceremony is made of; all fields are required.
type CeremonyConfig struct {
	Store       CeremonyStore
	Keys        Keys
	OrgID       string
	TrustDomain string
	Now         func() time.Time
	NewID       func() string // unique, at most 36 characters
	Log         *slog.Logger
}

// Ceremony makes generations. It is safe for concurrent use: two at once make two generations.
type Ceremony struct{ CeremonyConfig }

// NewCeremony returns a Ceremony.
func NewCeremony(cfg CeremonyConfig) *Ceremony { return &Ceremony{cfg} }

// GenerationSpec says for what a generation is made.
type GenerationSpec struct {
	audit.By
	RotationID string
	Reason     string
	// Upload is the operator's CA, accepted by package upload; nil: one is minted. Its key is imported, and overwritten
	// in memory whatever the outcome.
	Upload *upload.Material
}

func (o GenerationSpec) source() orgca.Source {
	if o.Upload != nil {
		return orgca.Upload
	}
	return orgca.Mint
}

// legacy reports whether the generation's root must issue without an issuing CA.
func (o GenerationSpec) legacy() bool { return o.Upload != nil && o.Upload.Legacy }

// Prepare makes a generation and brings it to the state staged. A crash in here leaves a row in the state preparing and
// at most two keys that carry its rotation id: Discard removes both.
func (c *Ceremony) Prepare(ctx context.Context, o GenerationSpec) (orgca.Generation, error) {
	if o.Upload != nil {
		defer o.Upload.Zero()
	}
	g, err := c.claim(ctx, o)
	if err != nil {
		return g, fmt.Errorf("claim a generation: %w", err)
	}
	c.Log.InfoContext(ctx, "pki.rotate.preparing", "generation", g.Number, "source", string(g.Source), "rotation_id",
		g.RotationID)
	if g, err = c.create(ctx, g, o); err != nil {
		return g, fmt.Errorf("make generation %d: %w", g.Number, err)
	}
	if g, err = c.stage(ctx, g, o); err != nil {
		return g, fmt.Errorf("stage generation %d: %w", g.Number, err)
	}
	c.Log.InfoContext(ctx, "pki.rotate.staged", "generation", g.Number, "fingerprint", g.Fingerprint())
	return g, nil
}

// claim writes the row before any key exists, so that no key is ever without one.
func (c *Ceremony) claim(ctx context.Context, o GenerationSpec) (g orgca.Generation, err error) {
	org, err := c.Store.Org(ctx)
	if err != nil {
		return g, err
	}
	err = registry.Amend(ctx, c.Store, org, func(org registry.Org) (change registry.Change, err error) {
		g = orgca.Generation{
			Number:     org.NextNumber(),
			RotationID: o.RotationID,
			Source:     o.source(),
			Reason:     o.Reason,
			Actor:      o.Actor,
		}
		g, err = g.To(orgca.Preparing, c.Now())
		return registry.Change{ID: c.NewID(), Generations: []orgca.Generation{g}}, err
	})
	if err == nil {
		g.Version++
	}
	return g, err
}

func (c *Ceremony) put(ctx context.Context, g orgca.Generation) (orgca.Generation, error) {
	err := registry.Settle(ctx, c.Store.Apply, registry.Change{ID: c.NewID(), Generations: []orgca.Generation{g}})
	if err == nil {
		g.Version++
	}
	return g, err
}

// create makes the keys, records them, makes what certificates are missing, and has the root key rest.
func (c *Ceremony) create(ctx context.Context, g orgca.Generation, o GenerationSpec) (orgca.Generation, error) {
	var k publicKeys
	var err error
	if g, k, err = c.keys(ctx, g, o); err != nil {
		return g, err
	}
	if g, err = c.put(ctx, g); err != nil {
		return g, err
	}
	if g, err = c.certify(ctx, g, o, k); err != nil || o.legacy() {
		return g, err
	}
	if err := c.Keys.Disable(ctx, g.RootKey); err != nil {
		return g, fmt.Errorf("disable the root key: %w", err)
	}
	return g, nil
}

// publicKeys are the public halves of a generation's keys; a legacy root has no issuing key.
type publicKeys struct{ root, issuing crypto.PublicKey }

func (c *Ceremony) keys(
	ctx context.Context, g orgca.Generation, o GenerationSpec,
) (orgca.Generation, publicKeys, error) {
	var k publicKeys
	var err error
	spec := KeySpec{g.Number, g.RotationID, Root}
	if o.Upload != nil {
		g.RootKey, k.root, err = c.Keys.Import(ctx, spec, o.Upload.Key)
	} else {
		g.RootKey, k.root, err = c.Keys.Create(ctx, spec)
	}
	if err != nil || o.legacy() {
		return g, k, err
	}
	g.IssuingKey, k.issuing, err = c.Keys.Create(ctx, KeySpec{g.Number, g.RotationID, Issuing})
	return g, k, err
}

// certify makes the root, unless it was uploaded, and the issuing CA below it, unless the root must issue without
// one.
func (c *Ceremony) certify(
	ctx context.Context, g orgca.Generation, o GenerationSpec, k publicKeys,
) (orgca.Generation, error) {
	p := pki.CAParams{Org: c.OrgID, Generation: g.Number, Now: c.Now()}
	authority, err := c.root(p, o, c.Keys.Signer(ctx, g.RootKey, k.root))
	if err != nil {
		return g, err
	}
	root := authority.Chain[0]
	for _, above := range authority.Chain[1:] {
		g.Above = append(g.Above, above.Raw)
	}
	if !o.legacy() {
		issuing, err := pki.NewIssuing(p, authority, k.issuing)
		if err != nil {
			return g, fmt.Errorf("sign the issuing CA: %w", err)
		}
		g.Issuing = issuing.Raw
		authority = pki.Authority{
			Chain: slices.Concat([]*x509.Certificate{issuing}, authority.Chain),
			Key:   c.Keys.Signer(ctx, g.IssuingKey, k.issuing),
		}
	}
	if err := c.rehearse(authority); err != nil {
		return g, fmt.Errorf("rehearse an issuance: %w", err)
	}
	g.Root, g.Subject, g.NotBefore, g.NotAfter = root.Raw, dn.String(root.RawSubject), root.NotBefore, root.NotAfter
	g.Legacy = pki.LegacyPathLenZero(root)
	return g, nil
}

func (c *Ceremony) root(p pki.CAParams, o GenerationSpec, key crypto.Signer) (pki.Authority, error) {
	if o.Upload != nil {
		return pki.Authority{Chain: o.Upload.Chain, Key: key}, nil
	}
	root, err := pki.NewRoot(p, key)
	if err != nil {
		return pki.Authority{}, fmt.Errorf("sign the root: %w", err)
	}
	return pki.Authority{Chain: []*x509.Certificate{root}, Key: key}, nil
}

// rehearse issues a certificate to a key that is thrown away: a generation that cannot issue never becomes current.
// The issuance itself verifies the chain.
func (c *Ceremony) rehearse(a pki.Authority) error {
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	uri, err := pki.SPIFFEID(c.TrustDomain, c.OrgID, "rehearsal")
	if err != nil {
		return err
	}
	_, err = a.IssueAgent(pki.AgentParams{
		AgentID:   c.OrgID + "::rehearsal",
		Org:       c.OrgID,
		SPIFFEID:  uri,
		PublicKey: key.Public(),
		Now:       c.Now(),
	})
	return err
}

// stage records the finished generation together with its audit row. The organisation's chain may move meanwhile.
func (c *Ceremony) stage(ctx context.Context, g orgca.Generation, o GenerationSpec) (orgca.Generation, error) {
	staged, err := g.To(orgca.Staged, c.Now())
	if err != nil {
		return g, err
	}
	details := map[string]any{"generation": g.Number, "fingerprint": g.Fingerprint(), "source": string(g.Source),
		"reason": g.Reason, "rotation_id": g.RotationID, "request_id": o.RequestID}
	err = c.record(ctx, staged, audit.Entry{Event: audit.OrgCAStaged, Actor: o.Actor, Details: details})
	if err == nil {
		staged.Version++
	}
	return staged, err
}

// record writes a generation with a row of the organisation's chain in one change.
func (c *Ceremony) record(ctx context.Context, g orgca.Generation, e audit.Entry) error {
	org, err := c.Store.Org(ctx)
	if err != nil {
		return err
	}
	return registry.Amend(ctx, c.Store, org, func(org registry.Org) (registry.Change, error) {
		if present, _ := org.Generation(g.Number); present.Version != g.Version {
			return registry.Change{}, fmt.Errorf("generation %d: %w", g.Number, registry.ErrConflict)
		}
		e.Time, e.Subject = c.Now(), c.OrgID
		row, head, err := org.Head.Append(e)
		return registry.Change{ID: c.NewID(), Generations: []orgca.Generation{g}, Head: &head, Rows: []audit.Row{row}}, err
	})
}
