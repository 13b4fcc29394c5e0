package apigateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// refusal is an error answer of the service.
type refusal struct {
	status  int
	code    string
	message string
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

// maxBody is far above what an update takes.
const maxBody = 64 << 10

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.serve(r)
	if err == nil {
		write(w, http.StatusOK, answer)
		return
	}
	known, ok := errors.AsType[*refusal](err)
	if !ok {
		known = &refusal{http.StatusInternalServerError, "InternalFailure", err.Error()}
	}
	w.Header().Set("X-Amzn-Errortype", known.code)
	write(w, known.status, map[string]string{"message": known.message})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client is gone: no one reads the error
}

func (s *Server) serve(r *http.Request) (any, error) {
	name, ok := strings.CutPrefix(r.URL.EscapedPath(), "/domainnames/")
	name, err := url.PathUnescape(name)
	if !ok || err != nil || r.Method != http.MethodGet && r.Method != http.MethodPatch {
		return nil, &refusal{http.StatusNotImplemented, "NotImplemented",
			"this stand-in has GetDomainName and UpdateDomainName only"}
	}
	if name != s.cfg.Name {
		return nil, &refusal{http.StatusNotFound, "NotFoundException", "Invalid domain name identifier specified"}
	}
	if r.Method == http.MethodPatch {
		return s.update(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.describe(s.domain.status(s.cfg.Now())), nil
}

// mutualTLS is the part of a domain's description that this is about.
type mutualTLS struct {
	URI      string   `json:"truststoreUri"`
	Version  string   `json:"truststoreVersion,omitempty"`
	Warnings []string `json:"truststoreWarnings,omitempty"`
}

type description struct {
	Name    string    `json:"domainName"`
	Status  string    `json:"domainNameStatus"`
	Message string    `json:"domainNameStatusMessage,omitempty"`
	Mutual  mutualTLS `json:"mutualTlsAuthentication"`
}

func (s *Server) describe(status string) description {
	return description{s.cfg.Name, status, s.domain.Failure, mutualTLS{s.cfg.URI, s.domain.Version, s.domain.Warnings}}
}

// update answers UPDATING whatever it takes, as the service does.
func (s *Server) update(r *http.Request) (any, error) {
	version, err := wanted(r)
	if err != nil {
		return nil, err
	}
	found, err := s.inspect(r.Context(), version)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	if s.domain.status(now) == "UPDATING" {
		return nil, &refusal{http.StatusConflict, "ConflictException", "an update of the domain is in progress"}
	}
	next := domain{
		Version:  version,
		Before:   s.domain.served(now),
		Through:  now.Add(s.takes),
		Warnings: append(found, s.injected...),
	}
	if s.failing != "" {
		next = domain{
			Version:  s.domain.served(now),
			Before:   s.domain.served(now),
			Warnings: s.domain.Warnings,
			Failure:  s.failing,
		}
	}
	if err := s.keep(next); err != nil {
		return nil, err
	}
	return s.describe("UPDATING"), nil
}

// wanted reads the version out of a request. Other changes of a domain are the deployment's.
func wanted(r *http.Request) (string, error) {
	bad := func(text string) error { return &refusal{http.StatusBadRequest, "BadRequestException", text} }
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return "", err
	}
	var in struct {
		PatchOperations []struct{ Op, Path, Value string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", &refusal{http.StatusBadRequest, "SerializationException", err.Error()}
	}
	if len(in.PatchOperations) != 1 {
		return "", bad("this stand-in takes one patch operation")
	}
	op := in.PatchOperations[0]
	if op.Op != "replace" || op.Path != "/mutualTlsAuthentication/truststoreVersion" || op.Value == "" {
		return "", bad(fmt.Sprintf("Invalid patch path or operation: %s %s", op.Op, op.Path))
	}
	return op.Value, nil
}

// maxCertificates is the service's limit.
const maxCertificates = 1000

// inspect returns what there is to warn about in a version of the object.
// Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mutual-tls.html
func (s *Server) inspect(ctx context.Context, version string) ([]string, error) {
	text, err := s.cfg.Object(ctx, version)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &refusal{http.StatusBadRequest, "BadRequestException",
			"The truststore object or its version does not exist"}
	}
	if err != nil {
		return nil, err
	}
	var warnings []string
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			warnings = append(warnings, fmt.Sprintf("certificate %d of the truststore cannot be read", n))
		}
	}
	if n == 0 || n > maxCertificates {
		return nil, &refusal{http.StatusBadRequest, "BadRequestException",
			fmt.Sprintf("The truststore has %d certificates, not 1 to %d", n, maxCertificates)}
	}
	return slices.Clip(warnings), nil
}
