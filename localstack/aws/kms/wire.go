package kms

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// contentType is the media type of AWS JSON 1.1, in both directions.
const contentType = "application/x-amz-json-1.1"

// operation decodes a request's body and serves it.
type operation func(s *Server, body []byte) (any, error)

// operations is every operation there is; a name that is absent is refused.
var operations = map[string]operation{
	"CancelKeyDeletion":                   handle((*Server).cancelKeyDeletion),
	"CreateAlias":                         handle((*Server).createAlias),
	"CreateKey":                           handle((*Server).createKey),
	"Decrypt":                             handle((*Server).decrypt),
	"DeleteAlias":                         handle((*Server).deleteAlias),
	"DeleteImportedKeyMaterial":           handle((*Server).deleteImportedKeyMaterial),
	"DescribeKey":                         handle((*Server).describeKey),
	"DisableKey":                          handle((*Server).disableKey),
	"EnableKey":                           handle((*Server).enableKey),
	"Encrypt":                             handle((*Server).encrypt),
	"GenerateDataKey":                     handle((*Server).generateDataKey),
	"GenerateDataKeyPairWithoutPlaintext": handle((*Server).generateDataKeyPair),
	"GetParametersForImport":              handle((*Server).parametersForImport),
	"GetPublicKey":                        handle((*Server).publicKey),
	"ImportKeyMaterial":                   handle((*Server).importKeyMaterial),
	"ListAliases":                         handle((*Server).listAliases),
	"ListKeys":                            handle((*Server).listKeys),
	"ListResourceTags":                    handle((*Server).listResourceTags),
	"ScheduleKeyDeletion":                 handle((*Server).scheduleKeyDeletion),
	"Sign":                                handle((*Server).sign),
	"TagResource":                         handle((*Server).tagResource),
	"UntagResource":                       handle((*Server).untagResource),
	"Verify":                              handle((*Server).verify),
}

func handle[I any](serve func(*Server, *I) (any, error)) operation {
	return func(s *Server, body []byte) (any, error) {
		var in I
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return serve(s, &in)
	}
}

// decode reads one JSON object. Members that are not built are ignored, as every AWS service does.
func decode(body []byte, into any) error {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return faultf(codeSerialization, "The request is not a JSON object.")
	}
	if err := json.Unmarshal(body, into); err != nil {
		// The decoder's text may quote the request, which may be a secret.
		return faultf(codeSerialization, "The request could not be decoded.")
	}
	return nil
}

// respond writes out as JSON; nil is the empty body that operations without a result answer.
func respond(w http.ResponseWriter, status int, out any) {
	var body []byte
	if out != nil {
		var err error
		if body, err = json.Marshal(out); err != nil {
			status, body = http.StatusInternalServerError,
				[]byte(`{"__type":"KMSInternalException","message":"The answer could not be encoded."}`)
		}
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Amzn-Requestid", newUUID())
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A caller that has gone away is not the server's error.
	_, _ = w.Write(body)
}

// epoch is a time in AWS JSON: seconds since 1970 as a number, kept to the millisecond.
type epoch struct{ time.Time }

// MarshalJSON writes the number.
func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(e.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads the number, refusing years that no time.Time survives.
func (e *epoch) UnmarshalJSON(raw []byte) error {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > 253402300799 { // 9999-12-31T23:59:59Z
		return &json.UnsupportedValueError{Str: "timestamp"}
	}
	e.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
	return nil
}
