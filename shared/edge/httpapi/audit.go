package httpapi

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

const (
	exportPath = "/v1/admin/audit/export"
	bundlePath = "/v1/admin/audit/bundle"
)

// Audit returns the handlers of the function audit.
func Audit(t *auditlog.Trail) Handlers {
	return Handlers{
		"GET /v1/admin/audit/export":  func(w http.ResponseWriter, r *http.Request) error { return export(t, w, r) },
		"GET /v1/admin/audit/head":    func(w http.ResponseWriter, r *http.Request) error { return auditHead(t, w, r) },
		"POST /v1/admin/audit/bundle": func(w http.ResponseWriter, r *http.Request) error { return auditBundle(t, w, r) },
	}
}

// Checkpoint returns the handler of the function checkpoint; the schedule calls the Sealer itself.
func Checkpoint(j *auditlog.Sealer) Handlers {
	return Handlers{"POST /v1/admin/audit/checkpoint": func(w http.ResponseWriter, r *http.Request) error {
		if err := nothing(r); err != nil {
			return err
		}
		once, err := named(r, nil, checkpointed)
		if err != nil {
			return err
		}
		report, err := j.Once(r.Context(), CallOf(r.Context()).By, once)
		if err != nil {
			return err
		}
		checkpointed(report).write(w)
		return nil
	}}
}

func checkpointed(report auditlog.Report) answer { return answer{http.StatusOK, report} }

// AuditKey returns the handler of the public half of the key that signs checkpoints, so that an auditor gets the key
// independently of the bundle.
func AuditKey(key func(context.Context) (audit.Key, error)) Handlers {
	return Handlers{"GET /pki/audit-key.pem": func(w http.ResponseWriter, r *http.Request) error {
		k, err := key(r.Context())
		if err != nil {
			return err
		}
		body, err := k.EncodePEM()
		return send(w, "application/x-pem-file", "no-cache", body, err)
	}}
}

// nothing refuses a query and a body.
func nothing(r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	return noBody(r)
}

func noBody(r *http.Request) error {
	body, err := read(r)
	if err == nil && len(body) > 0 {
		err = ErrBody
	}
	return err
}

func export(t *auditlog.Trail, w http.ResponseWriter, r *http.Request) error {
	query, err := onlyQuery(r, "format", "start", "end", "subject", "event_type", "actor", "limit", "cursor")
	if err != nil {
		return err
	}
	q := auditlog.Query{
		Subject: query.Get("subject"),
		Event:   audit.Event(query.Get("event_type")),
		Actor:   query.Get("actor"),
		Cursor:  query.Get("cursor"),
	}
	if q.Start, err = moment(query, "start"); err != nil {
		return err
	}
	if q.End, err = moment(query, "end"); err != nil {
		return err
	}
	if query.Has("limit") {
		if q.Limit, err = strconv.Atoi(query.Get("limit")); err != nil || q.Limit < 1 {
			return auditlog.ErrLimit
		}
	}
	render, mediaType, err := formatOf(query.Get("format"))
	if err != nil {
		return err
	}
	page, err := t.Export(r.Context(), q)
	if err != nil {
		if errors.Is(err, auditlog.ErrTooLarge) {
			link(w, "first", exportPath, query, "limit", strconv.Itoa(pageLimit))
		}
		return err
	}
	body, err := render(page.Rows)
	if err != nil {
		return err
	}
	if page.Next != "" {
		if !query.Has("limit") {
			query.Set("limit", strconv.Itoa(auditlog.MaxLimit))
		}
		link(w, "next", exportPath, query, "cursor", page.Next)
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// formatOf finds the way to write rows, and its media type.
func formatOf(format string) (func([]audit.Row) ([]byte, error), string, error) {
	switch format {
	case "", "ndjson":
		return ndjson, "application/x-ndjson", nil
	case "csv":
		return commaSeparated, "text/csv; charset=utf-8; header=present", nil
	}
	return nil, "", fmt.Errorf("%w: format takes ndjson or csv", ErrQuery)
}

// WriteRows writes rows in a format of the export, for an edge that hands them out as well.
func WriteRows(format string, rows []audit.Row) (body []byte, mediaType string, err error) {
	render, mediaType, err := formatOf(format)
	if err != nil {
		return nil, "", err
	}
	body, err = render(rows)
	return body, mediaType, err
}

// pageLimit is the length of pages that is offered where one answer cannot hold everything.
const pageLimit = 5000

// link adds a link (RFC 8288) to the same request with one parameter changed.
func link(w http.ResponseWriter, rel, path string, query url.Values, name, value string) {
	next := url.Values{}
	for n, v := range query {
		next[n] = v
	}
	next.Set(name, value)
	w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=%q", path, next.Encode(), rel))
}

// moment reads a time, or a day: its beginning in UTC.
func moment(query url.Values, name string) (time.Time, error) {
	if !query.Has(name) {
		return time.Time{}, nil
	}
	text := query.Get(name)
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		// RFC 3339 section 5.6 takes t and z as well.
		if at, err := time.Parse(form, strings.ToUpper(text)); err == nil && at.Year() >= 1970 && at.Year() < 10000 {
			return at, nil
		}
	}
	if date, offset, ok := strings.Cut(text, " "); ok && strings.ContainsAny(date, "Tt") {
		if _, err := time.Parse(time.RFC3339Nano, strings.ToUpper(date+"+"+offset)); err == nil {
			return time.Time{}, fmt.Errorf("%w: %s has a blank where its offset has a +: a + in a query is a blank, "+
				"write it as %%2B", auditlog.ErrPeriod, name)
		}
	}
	return time.Time{}, auditlog.ErrPeriod
}

func ndjson(rows []audit.Row) ([]byte, error) {
	var out bytes.Buffer
	for _, row := range rows {
		line, err := row.Encode()
		if err != nil {
			return nil, err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// commaSeparated writes RFC 4180. It is for reading in a spreadsheet: what proves anything is the other format.
func commaSeparated(rows []audit.Row) ([]byte, error) {
	var out bytes.Buffer
	c := csv.NewWriter(&out)
	c.UseCRLF = true
	// Error tells
	_ = c.Write([]string{"id", "seq", "timestamp", "event_type", "actor", "subject", "details", "prev_hash", "hash"})
	for _, r := range rows {
		details, err := json.Marshal(r.Details)
		if err != nil {
			return nil, err
		}
		// In locales with a decimal comma, spreadsheets split fields at semicolons, and the text after one begins a field.
		// In JSON a semicolon occurs only in strings, where its escape means the same.
		details = bytes.ReplaceAll(details, []byte(";"), []byte(`\u003b`))
		record := []string{
			r.ID, strconv.FormatInt(r.Seq, 10), r.Timestamp, string(r.EventType), r.Actor, r.Subject, string(details),
			r.PrevHash, r.Hash,
		}
		for i, field := range record {
			record[i] = harmless(field)
		}
		_ = c.Write(record)
	}
	c.Flush()
	return out.Bytes(), c.Error()
}

// harmless keeps a spreadsheet from taking a field for a formula: after an apostrophe it is text.
func harmless(field string) string {
	if field != "" && strings.ContainsRune("=+-@\t\r\n", rune(field[0])) {
		return "'" + field
	}
	return field
}

func auditHead(t *auditlog.Trail, w http.ResponseWriter, r *http.Request) error {
	query, err := onlyQuery(r, "subject")
	if err != nil {
		return err
	}
	head, err := t.Head(r.Context(), query.Get("subject"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	write(w, http.StatusOK, "application/json", head)
	return nil
}

func auditBundle(t *auditlog.Trail, w http.ResponseWriter, r *http.Request) error {
	query, err := onlyQuery(r, "from_checkpoint", "to_checkpoint")
	if err != nil {
		return err
	}
	if err := noBody(r); err != nil {
		return err
	}
	var parts auditlog.Parts
	if parts.From, err = checkpointNumber(query, "from_checkpoint"); err != nil {
		return err
	}
	if parts.To, err = checkpointNumber(query, "to_checkpoint"); err != nil {
		return err
	}
	packed, err := t.Bundle(r.Context(), parts)
	if err != nil {
		if errors.Is(err, auditlog.ErrTooLarge) {
			link(w, "first", bundlePath, query, "from_checkpoint", "1")
		}
		return err
	}
	name := fmt.Sprintf("audit-%s-%d-%d.tar.gz", packed.Manifest.MadeAt[:len(time.DateOnly)], packed.Manifest.First,
		packed.Manifest.Last)
	if packed.Next != 0 {
		link(w, "next", bundlePath, query, "from_checkpoint", strconv.FormatInt(packed.Next, 10))
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(packed.TarGz)
	return err
}

func checkpointNumber(query url.Values, name string) (int64, error) {
	if !query.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil || n < 1 {
		return 0, auditlog.ErrParts
	}
	return n, nil
}
