package httpapi

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/pki/dn"
	"github.com/mastio-aws/mastio/shared/problem"
)

// note writes the one line about a request. Every token pays for each octet of the line, so a success has only what
// an operator looks for: the request, the authenticated agent, the outcome. A refusal also has its cause, and without
// an agent the name that the certificate claims.
func (m *Mux) note(r *http.Request, resource string, status int, took time.Duration, err error) {
	c := CallOf(r.Context())
	attributes := []slog.Attr{
		slog.String("route", r.Method+" "+resource), slog.Int("status", status), slog.Int64("micros", took.Microseconds()),
		slog.String("request_id", c.RequestID),
	}
	if c.Agent != "" {
		attributes = append(attributes, slog.String("agent", string(c.Agent)))
	}
	if err != nil {
		if name := claimed(c.CertificatePEM); c.Agent == "" && name != "" {
			attributes = append(attributes, slog.String("claimed", name))
		}
		attributes = append(attributes, slog.String("code", string(problem.Of(err).Code)), slog.String("cause", err.Error()))
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	m.Log.LogAttrs(r.Context(), level, "request", attributes...)
}

// claimed is who a client certificate says it is for, by its URI (SPIFFE) or by its subject; empty for none.
func claimed(certificatePEM string) string {
	block, _ := pem.Decode([]byte(certificatePEM))
	if block == nil {
		return ""
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case len(leaf.URIs) > 0:
		return fmt.Sprintf("%.200s", leaf.URIs[0])
	}
	return dn.Brief(leaf.RawSubject)
}
