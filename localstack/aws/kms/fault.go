package kms

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Fault is a refusal as the KMS API words it: the SDK turns Code into its typed error.
type Fault struct { //nolint:errname // an answer of AWS; an error only on its way
	Code    string // such as DisabledException
	Message string
	Status  int // HTTP status; 0 is 400, which is what KMS answers to everything that is the caller's fault
}

// Error returns the code and the message.
func (f *Fault) Error() string { return f.Code + ": " + f.Message }

func faultf(code, format string, args ...any) error {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Codes that more than one file answers with.
const (
	codeIncorrectMaterial = "IncorrectKeyMaterialException"
	codeInvalidCiphertext = "InvalidCiphertextException"
	codeInvalidState      = "KMSInvalidStateException"
	codeInvalidUsage      = "InvalidKeyUsageException"
	codeLimitExceeded     = "LimitExceededException"
	codeNotFound          = "NotFoundException"
	codeSerialization     = "SerializationException"
	codeTag               = "TagException"
	codeUnsupported       = "UnsupportedOperationException"
	codeValidation        = "ValidationException"
)

// violation is what AWS says when a member of the request breaks its declared constraint.
func violation(value any, member, constraint string) error {
	return faultf(codeValidation, "1 validation error detected: Value %v at '%s' failed to satisfy constraint: %s",
		value, member, constraint)
}

// missing says that a required member is absent.
func missing(member string) error { return violation("null", member, "Member must not be null") }

// blob checks that a binary member is there and holds least to most bytes. The value is never echoed.
func blob(member string, value []byte, least, most int) error {
	switch {
	case value == nil:
		return missing(member)
	case len(value) < least:
		return violation("at", member, fmt.Sprintf("Member must have length greater than or equal to %d", least))
	case len(value) > most:
		return violation("at", member, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	return nil
}

// oneOf checks an enumeration. A value outside all, AWS's own list, breaks the API; one inside it that is
// not among the built ones is refused as unsupported: there is no default that lets anything through.
func oneOf[E ~string](member string, value E, all []E, built ...E) error {
	switch {
	case value == "":
		return missing(member)
	case !slices.Contains(all, value):
		names := make([]string, len(all))
		for i, v := range all {
			names[i] = string(v)
		}
		return violation("'"+string(value)+"'", member,
			"Member must satisfy enum value set: ["+strings.Join(names, ", ")+"]")
	case !slices.Contains(built, value):
		return faultf(codeUnsupported, "The value %s of %s is not supported.", value, member)
	}
	return nil
}

// refuse writes an error. An error that is no Fault is internal: its cause goes to the log only.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var f *Fault
	if !errors.As(err, &f) {
		s.log.ErrorContext(r.Context(), "kms.internal", "target", r.Header.Get("X-Amz-Target"), "error", err)
		f = &Fault{
			Code:    "KMSInternalException",
			Status:  http.StatusInternalServerError,
			Message: "The request was rejected because an internal exception occurred.",
		}
	}
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	respond(w, status, struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{f.Code, f.Message})
}
