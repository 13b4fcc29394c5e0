package httpapi

import (
	"net/http"

	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// RotateCA returns the handlers of the function rotateca.
func RotateCA(rotator *rotateca.Rotator) Handlers {
	return Handlers{
		"POST /pki/rotate-ca": func(w http.ResponseWriter, r *http.Request) error { return rotateCA(rotator, w, r) },
		"GET /pki/rotate-ca":  func(w http.ResponseWriter, r *http.Request) error { return rotationStatus(rotator, w, r) },
	}
}

func rotateCA(rotator *rotateca.Rotator, w http.ResponseWriter, r *http.Request) error {
	query, err := onlyQuery(r, "mode", "reason")
	if err != nil {
		return err
	}
	switch query.Get("mode") {
	case "mint":
	default:
		return rotateca.ErrMode
	}
	body, err := read(r)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		return ErrMintBody
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	call := CallOf(r.Context())
	result, err := rotator.Mint(r.Context(), rotateca.Request{
		Reason: query.Get("reason"), IdempotencyKey: key, Actor: call.Actor(), RequestID: call.RequestID, SourceIP: call.SourceIP,
	})
	if err != nil {
		return err
	}
	secret(w)
	write(w, http.StatusOK, "application/json", result)
	return nil
}

// idempotencyKey reads the Idempotency-Key header. An unprintable or repeated one is refused: it would not be found again.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 || values[0] == "" {
		return "", rotateca.ErrIdempotencyKey
	}
	for _, c := range []byte(values[0]) {
		if c < 0x21 || c > 0x7e {
			return "", rotateca.ErrIdempotencyKey
		}
	}
	return values[0], nil
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
