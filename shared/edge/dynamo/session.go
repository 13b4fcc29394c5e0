package dynamo

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/session"
)

// Keys of the sessions' table.
const (
	sessionPrefix = "SESSION#"
	gatePrefix    = "GATE#"
	epochItem     = "EPOCH"
)

// Session reads a session and the present epoch in one call.
func (s *Store) Session(ctx context.Context, id string) (*session.Session, int64, error) {
	const doing = "read a session"
	items, err := s.batch(ctx, s.sessions, []item{{"pk": text(sessionPrefix + id)}, {"pk": text(epochItem)}})
	if err != nil {
		return nil, 0, unavailable(doing, err)
	}
	var found *session.Session
	var epoch int64
	for _, i := range items {
		r := reader{item: i}
		if r.text("pk") == epochItem {
			epoch = r.number("epoch")
		} else {
			found = &session.Session{
				ID:      id,
				Actor:   r.text("actor"),
				Admin:   r.text("admin"),
				Epoch:   r.number("epoch"),
				Version: r.text("version"),
				Created: r.time("created"),
				Expires: r.time("expires"),
			}
		}
		if r.err != nil {
			return nil, 0, unavailable(doing, r.err)
		}
	}
	return found, epoch, nil
}

// PutSession stores a session. Doing so twice is doing so once.
func (s *Store) PutSession(ctx context.Context, v session.Session) error {
	w := writer{item{"pk": text(sessionPrefix + v.ID), "ttl": expiry(v.Expires)}}
	w.text("actor", v.Actor)
	w.number("epoch", v.Epoch)
	w.text("version", v.Version)
	w.text("admin", v.Admin)
	w.time("created", v.Created)
	w.time("expires", v.Expires)
	var a attempts
	if _, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.sessions, Item: w.item}, a.watch); err != nil {
		return a.failed("store a session", err)
	}
	return nil
}

// DropSession deletes a session. Doing so twice is doing so once.
func (s *Store) DropSession(ctx context.Context, id string) error {
	var a attempts
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.sessions,
		Key:       item{"pk": text(sessionPrefix + id)},
	}, a.watch)
	if err != nil {
		return a.failed("delete a session", err)
	}
	return nil
}

// EndSessions begins the next epoch. A repeated attempt begins the one after it, which ends the same sessions.
func (s *Store) EndSessions(ctx context.Context) error {
	var a attempts
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.sessions,
		Key:                       item{"pk": text(epochItem)},
		UpdateExpression:          aws.String("ADD epoch :one"),
		ExpressionAttributeValues: item{":one": number(1)},
	}, a.watch)
	if err != nil {
		return a.failed("end all sessions", err)
	}
	return nil
}

// Gates reads the gates of some keys in one call.
func (s *Store) Gates(ctx context.Context, keys ...string) ([]session.Gate, error) {
	const doing = "read how often was tried"
	wanted := make([]item, len(keys))
	gates := make([]session.Gate, len(keys))
	for n, key := range keys {
		wanted[n], gates[n].Key = item{"pk": text(gatePrefix + key)}, key
	}
	items, err := s.batch(ctx, s.sessions, wanted)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	for _, i := range items {
		r := reader{item: i}
		n := slices.Index(keys, r.text("pk")[len(gatePrefix):])
		gates[n].Attempts, gates[n].Last, gates[n].Until, gates[n].Version = r.number("attempts"), r.time("last"),
			r.time("until"), r.number("version")
		if r.err != nil {
			return nil, unavailable(doing, r.err)
		}
	}
	return gates, nil
}

// PutGate stores a gate iff it is still as it was read. A repeated attempt can meet the gate that the attempt before
// it stored: also ErrConflict, which admits no attempt.
func (s *Store) PutGate(ctx context.Context, g session.Gate, forget time.Time) error {
	const doing = "store how often was tried"
	w := writer{item{"pk": text(gatePrefix + g.Key), "ttl": expiry(forget)}}
	w.number("attempts", g.Attempts)
	w.time("last", g.Last)
	w.time("until", g.Until)
	w.number("version", g.Version+1)
	return s.putVersioned(ctx, doing, s.sessions, w.item, g.Version)
}
