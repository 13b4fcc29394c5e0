package lambda

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const runtimePath = "/2018-06-01/runtime/"

// Headers and trailers of the Runtime API.
const (
	headerErrorType = "Lambda-Runtime-Function-Error-Type"
	trailerError    = "Lambda-Runtime-Function-Error-Body"
)

// drain is how much of an oversized answer is read before the connection is cut, in bytes: a client that is still
// writing would see a broken connection instead of the answer with the reason.
const drain = 64 << 20

// runtimeAPI is what the instance's process talks to. Its address begins with a secret of the instance. AWS needs no
// such secret, because only the instance reaches the address there. Here any user of the machine can reach the port,
// and the next invocation carries the admin secret in its headers. Source:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (in *instance) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+runtimePath+"invocation/next", in.next)
	mux.HandleFunc("POST "+runtimePath+"invocation/{id}/response", in.response)
	mux.HandleFunc("POST "+runtimePath+"invocation/{id}/error", in.failure)
	mux.HandleFunc("POST "+runtimePath+"init/error", in.initError)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.Path, "/")
		secret, _, _ := strings.Cut(rest, "/")
		if !found || !hmac.Equal([]byte(secret), []byte(in.secret)) {
			answer(w, http.StatusForbidden, fault{kind: "AccessDenied", text: "the Runtime API of another process"})
			return
		}
		http.StripPrefix("/"+secret, mux).ServeHTTP(w, r)
	})
}

func (in *instance) next(w http.ResponseWriter, r *http.Request) {
	if !in.pool.polled(in) {
		answer(w, http.StatusForbidden, fault{kind: "InvalidStateTransition", text: "the last invocation has no answer yet"})
		return
	}
	select {
	case <-r.Context().Done():
	case j := <-in.jobs:
		in.pool.take(j)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(j.payload)))
		h.Set("Lambda-Runtime-Aws-Request-Id", j.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(j.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", in.pool.arn)
		h.Set("Lambda-Runtime-Trace-Id", j.trace())
		_, _ = w.Write(j.payload) // a process that is gone is noticed by its exit
	}
}

func (in *instance) response(w http.ResponseWriter, r *http.Request) {
	body, ok := in.read(w, r)
	if !ok {
		return
	}
	result := Result{Payload: body}
	// A runtime that streams learns of an error after it has begun: it says so in the trailers.
	if r.Trailer.Get(headerErrorType) != "" {
		doc, err := base64.StdEncoding.DecodeString(r.Trailer.Get(trailerError))
		if err != nil || len(doc) == 0 {
			doc = fault{kind: r.Trailer.Get(headerErrorType), text: "the answer was cut off"}.document("")
		}
		result = Result{Payload: doc, FunctionError: "Unhandled"}
	}
	in.deliver(w, r, result)
}

func (in *instance) failure(w http.ResponseWriter, r *http.Request) {
	body, ok := in.read(w, r)
	if !ok {
		return
	}
	kind := "Unhandled"
	if r.Header.Get(headerErrorType) == "Handled" {
		kind = "Handled"
	}
	in.deliver(w, r, Result{Payload: body, FunctionError: kind})
}

func (in *instance) initError(w http.ResponseWriter, r *http.Request) {
	body, ok := in.read(w, r)
	if !ok {
		return
	}
	accepted(w)
	in.pool.initFailed(in, fault{said: body})
}

// read returns the request's body. One that exceeds the limit is answered on the spot and so is the invocation.
func (in *instance) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	var body bytes.Buffer
	body.Grow(4 << 10)
	if _, err := body.ReadFrom(io.LimitReader(r.Body, MaxResponse+1)); err != nil {
		return nil, false // the process is gone, or as good as
	}
	if body.Len() <= MaxResponse {
		return body.Bytes(), true
	}
	_, _ = io.CopyN(io.Discard, r.Body, drain)
	f := fault{
		kind: "Function.ResponseSizeTooLarge",
		text: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxResponse),
	}
	in.pool.answer(in, r.PathValue("id"), Result{Payload: f.document(""), FunctionError: "Unhandled"})
	answer(w, http.StatusRequestEntityTooLarge, fault{kind: "RequestEntityTooLarge", text: f.text})
	return nil, false
}

func (in *instance) deliver(w http.ResponseWriter, r *http.Request, result Result) {
	id := r.PathValue("id")
	result.RequestID = id
	if !in.pool.answer(in, id, result) {
		answer(w, http.StatusBadRequest, fault{kind: "InvalidRequestID", text: "no such invocation"})
		return
	}
	accepted(w)
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
}

func answer(w http.ResponseWriter, status int, f fault) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(f.document(""))
}
