package lambda

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// ServeHTTP answers the Invoke operation of Lambda's own API, so that an AWS SDK can be pointed here.
// Package sigv4 checks the signatures. Source:
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.api.ServeHTTP(w, r) }

func (s *Service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", s.invocations)
	return mux
}

func (s *Service) invocations(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		refuse(w, ErrPayloadTooLarge)
		return
	case err != nil:
		return // the client is gone
	case len(payload) == 0:
		payload = []byte("{}")
	case !json.Valid(payload):
		refuse(w, errNotJSON)
		return
	}
	name := functionName(r.PathValue("name"))
	switch r.Header.Get("X-Amz-Invocation-Type") {
	case "", "RequestResponse":
		s.invokeAndWait(w, r, name, payload)
	case "Event":
		s.invokeLater(w, name, payload)
	case "DryRun":
		s.dryRun(w, name)
	default:
		refuse(w, errInvocationType)
	}
}

var (
	errNotJSON = &refusal{http.StatusBadRequest, "InvalidRequestContentException",
		"could not parse request body into json"}
	errInvocationType = &refusal{http.StatusBadRequest, "InvalidParameterValueException", "unknown invocation type"}
)

func (s *Service) invokeAndWait(w http.ResponseWriter, r *http.Request, name string, payload []byte) {
	result, err := s.Invoke(r.Context(), name, payload)
	if err != nil {
		refuse(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", "$LATEST")
	h.Set("X-Amzn-Requestid", result.RequestID)
	if result.FunctionError != "" {
		h.Set("X-Amz-Function-Error", result.FunctionError)
	}
	_, _ = w.Write(result.Payload)
}

// invokeLater answers as soon as the invocation is queued. One difference to AWS: a function that
// fails is not tried again.
func (s *Service) invokeLater(w http.ResponseWriter, name string, payload []byte) {
	j, err := s.submit(name, payload)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("X-Amzn-Requestid", j.id)
	w.WriteHeader(http.StatusAccepted)
}

func (s *Service) dryRun(w http.ResponseWriter, name string) {
	if s.pools[name] == nil {
		refuse(w, ErrUnknownFunction)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// functionName takes the name out of an ARN, a partial ARN, or a name with a qualifier.
func functionName(s string) string {
	if _, rest, found := strings.Cut(s, "function:"); found {
		s = rest
	}
	name, _, _ := strings.Cut(s, ":")
	return name
}

func refuse(w http.ResponseWriter, err error) {
	r := &refusal{http.StatusInternalServerError, "ServiceException", "the invocation was given up"}
	errors.As(err, &r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", r.code)
	w.Header().Set("X-Amzn-Requestid", newRequestID())
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Type": "User", "Message": r.text})
}
