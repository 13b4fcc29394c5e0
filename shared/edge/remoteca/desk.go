package remoteca

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
)

// Desk carries out orders; all fields are required. It is safe for concurrent use if Do is.
type Desk struct {
	Do   func(ctx context.Context, req rotateca.Request) (rotateca.Result, error)
	Open func(ctx context.Context, token string) (signin.Visit, error) // of a token; session.ErrNone: it does not count
	Log  *slog.Logger
}

// Serve carries out the order in a Lambda event, and overwrites the event, which may hold an uploaded key. A refused
// order is an answer; only ErrOrder is an error of the invocation.
func (d *Desk) Serve(ctx context.Context, raw json.RawMessage) (any, error) {
	defer clear(raw)
	token, req, err := read(raw)
	if err != nil {
		d.Log.ErrorContext(ctx, "order", "cause", err.Error())
		return nil, err
	}
	var result rotateca.Result
	giver, err := d.Open(ctx, token)
	if err == nil {
		req.Actor = giver.Actor
		err = giver.Admin.Role.Permit(admin.CAOfficer)
	}
	if err == nil {
		result, err = d.Do(ctx, req)
	}
	attrs := []slog.Attr{slog.String("mode", string(req.Mode)), slog.String("actor", req.Actor),
		slog.String("request_id", req.RequestID)}
	if err == nil {
		d.Log.LogAttrs(ctx, slog.LevelInfo, "order", attrs...)
		return answer{Result: &result}, nil
	}
	p := problem.Of(err)
	p.RequestID = req.RequestID
	level := slog.LevelInfo
	if p.Status >= 500 {
		level = slog.LevelError
	}
	d.Log.LogAttrs(ctx, level, "order",
		append(attrs, slog.String("code", string(p.Code)), slog.String("cause", err.Error()))...)
	document, err := json.Marshal(p)
	return answer{Problem: document, RetryAfter: int64(p.RetryIn / time.Second)}, err
}
