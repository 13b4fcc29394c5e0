package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// RotateCA returns the handlers of the function rotateca.
func RotateCA(rotator *rotateca.Rotator) Handlers {
	return Handlers{
		"POST /pki/rotate-ca": func(w http.ResponseWriter, r *http.Request) error { return rotateCA(rotator, w, r) },
		"POST /pki/rotate-ca/reissue": func(w http.ResponseWriter, r *http.Request) error {
			return reissue(rotator, w, r)
		},
		"GET /pki/rotate-ca": func(w http.ResponseWriter, r *http.Request) error { return rotationStatus(rotator, w, r) },
	}
}

func rotateCA(rotator *rotateca.Rotator, w http.ResponseWriter, r *http.Request) error {
	req, err := rotationRequest(r)
	if err != nil {
		return err
	}
	body, err := read(r)
	if err != nil {
		return err
	}
	switch {
	case req.Mode == rotateca.Upload || r.URL.Query().Get("source") == "upload":
		defer clear(body) // the key is in it
		if req.Upload, err = uploaded(r, body); err != nil {
			return err
		}
	case len(body) > 0:
		return ErrBody
	}
	return carryOut(rotator, w, r, req)
}

// carryOut answers with what became of a request.
func carryOut(rotator *rotateca.Rotator, w http.ResponseWriter, r *http.Request, req rotateca.Request) error {
	result, err := rotator.Do(r.Context(), req)
	if err != nil {
		return err
	}
	secret(w)
	if result.Replayed {
		markReplay(w)
	}
	write(w, result.HTTPStatus(), "application/json", result)
	return nil
}

// parameters are the query parameters that each mode takes; any other parameter is refused, so that an option without
// effect is never mistaken for one that works.
var parameters = map[rotateca.Mode][]string{
	rotateca.Mint:   {"at", "overlap", "waves", "hold", "on_halt", "dry_run", "backup", "reason", "comment"},
	rotateca.Upload: {"overlap", "waves", "hold", "on_halt", "dry_run", "backup", "reason", "comment"},
	rotateca.Stage:  {"source", "reason", "comment"},
	rotateca.Commit: {"fingerprint", "at", "overlap", "waves", "hold", "on_halt", "dry_run", "backup", "reason",
		"comment"},
	rotateca.Rollback: {"backup", "reason", "comment"},
	rotateca.Finalise: {"dry_run", "if_safe", "reason", "comment"},
	rotateca.Cancel:   {"fingerprint", "reason", "comment"},
}

func rotationRequest(r *http.Request) (req rotateca.Request, err error) {
	mode := rotateca.Mode(r.URL.Query().Get("mode"))
	known, ok := parameters[mode]
	if !ok {
		return req, rotateca.ErrMode
	}
	query, err := onlyQuery(r, append([]string{"mode"}, known...)...)
	if err != nil {
		return req, err
	}
	if source := query.Get("source"); query.Has("source") && source != "mint" && source != "upload" {
		return req, rotateca.ErrMode
	}
	call := CallOf(r.Context())
	req = rotateca.Request{
		Mode:        mode,
		Fingerprint: query.Get("fingerprint"),
		Reason:      query.Get("reason"),
		Comment:     query.Get("comment"),
		By:          call.By,
	}
	if req.Overlap, err = overlap(query); err != nil {
		return req, err
	}
	if req.At, err = dateIn(query); err != nil {
		return req, err
	}
	if req.Moves, err = moves(query); err != nil {
		return req, err
	}
	if req.DryRun, err = truth(query, "dry_run"); err != nil {
		return req, err
	}
	if req.IfSafe, err = truth(query, "if_safe"); err != nil {
		return req, err
	}
	if req.SkipBackup, err = skipBackup(query); err != nil {
		return req, err
	}
	if req.IdempotencyKey, err = idempotencyKey(r); err == nil && req.IdempotencyKey != "" && req.DryRun {
		err = ErrIdempotency
	}
	return req, err
}

// moves reads in which waves agents are brought along. One of the three parameters is enough: the others are as usual
// then.
func moves(query url.Values) (m orgca.Moves, err error) {
	if !query.Has("waves") && !query.Has("hold") && !query.Has("on_halt") {
		return m, nil
	}
	m = orgca.Moves{Waves: orgca.DefaultWaves(), Hold: orgca.DefaultHold, OnHalt: orgca.HoldOnHalt}
	if given := query.Get("waves"); given != "" {
		m.Waves = nil
		for text := range strings.SplitSeq(given, ",") {
			percent, err := strconv.ParseUint(text, 10, 8)
			if err != nil || len(m.Waves) == orgca.MaxWaves {
				return m, orgca.ErrWaves
			}
			m.Waves = append(m.Waves, int(percent))
		}
	}
	if query.Has("hold") {
		seconds, err := strconv.ParseUint(query.Get("hold"), 10, 32)
		if err != nil {
			return m, orgca.ErrHold
		}
		m.Hold = time.Duration(seconds) * time.Second
	}
	if query.Has("on_halt") {
		m.OnHalt = orgca.OnHalt(query.Get("on_halt"))
	}
	return m, nil
}

// reissueForm is the body of a step of a re-issue.
type reissueForm struct {
	Action  rotateca.Action `json:"action"`
	Comment string          `json:"comment"`
}

// reissue takes a step of the re-issue that runs.
func reissue(rotator *rotateca.Rotator, w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	var form reissueForm
	if err := decode(r, &form, false); err != nil {
		return err
	}
	mode, err := form.Action.Mode()
	if err != nil {
		return err
	}
	req := rotateca.Request{Mode: mode, Comment: form.Comment, By: CallOf(r.Context()).By}
	if req.IdempotencyKey, err = idempotencyKey(r); err != nil {
		return err
	}
	return carryOut(rotator, w, r, req)
}

func overlap(query url.Values) (time.Duration, error) {
	if !query.Has("overlap") {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(query.Get("overlap"), 10, 32)
	if err != nil {
		return 0, orgca.ErrOverlap
	}
	return time.Duration(seconds) * time.Second, nil
}

// dateIn reads the date of a scheduled rotation.
func dateIn(query url.Values) (time.Time, error) {
	if !query.Has("at") {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, query.Get("at"))
	if err != nil || at.IsZero() {
		return at, orgca.ErrAt
	}
	return at, nil
}

func truth(query url.Values, name string) (bool, error) {
	switch query.Get(name) {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	}
	return false, fmt.Errorf("%w: %s takes true or false", ErrQuery, name)
}

func skipBackup(query url.Values) (bool, error) {
	switch query.Get("backup") {
	case "skip":
		return true, nil
	case "", "request":
		return false, nil
	}
	return false, fmt.Errorf("%w: backup takes request or skip", ErrQuery)
}

func rotationStatus(rotator *rotateca.Rotator, w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	status, err := rotator.Status(r.Context())
	if err != nil {
		return err
	}
	secret(w)
	write(w, http.StatusOK, "application/json", status)
	return nil
}
