package verifier

// Error is why a request is refused: what the answer to it says. The errors of this package are values of it, wrapped
// with the reason, which never quotes the token or the proof; errors.As finds it. It is never changed.
type Error struct {
	Status    int    // 401, or 503 where the verifier itself lacks what it judges by
	Code      string // for programs; it is never changed
	Sentence  string // for people; empty: the text of the whole error, which then holds nothing that is secret
	text      string
	challenge string
}

// Error returns the text for a log.
func (e *Error) Error() string { return e.text }

// Answer returns the status, the code and the sentence of the answer.
func (e *Error) Answer() (status int, code, sentence string) { return e.Status, e.Code, e.Sentence }

// Challenge returns the value of the header WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1); empty: none.
func (e *Error) Challenge() string { return e.challenge }

// schemes names the authentication schemes of a challenge.
const schemes = `DPoP algs="ES256"`

// refuse declares a 401. The error code of the challenge is empty for a request that shows nothing (RFC 6750 section
// 3.1).
func refuse(challenge, code, text, sentence string) *Error {
	e := &Error{Status: 401, Code: code, Sentence: sentence, text: text, challenge: schemes + ", Bearer"}
	if challenge != "" {
		e.challenge = schemes + `, error="` + challenge + `"`
	}
	return e
}

// Why a request is refused.
var (
	ErrNoToken = refuse("", "access_token_required", "access token required",
		"This resource takes an access token: Authorization: DPoP with a proof, or Bearer for a token that is "+
			"bound to the certificate alone. POST /v1/auth/token issues one.")
	// ErrToken: forged, expired, or of another issuer or audience.
	ErrToken = refuse("invalid_token", "access_token_invalid", "access token does not hold",
		"The access token is expired, forged, or for another audience. POST /v1/auth/token issues a new one.")
	// ErrBinding: to another certificate, or another key.
	ErrBinding = refuse("invalid_token", "access_token_bound_elsewhere", "access token is bound to another holder",
		"The access token is bound to another certificate than the connection's, or to another key than the proof's. "+
			"Get a token over this connection, with a proof by this key.")
	// ErrProof: wrong, or missing.
	ErrProof = refuse("invalid_dpop_proof", "dpop_proof_invalid", "dpop proof does not hold", "")
	// ErrNonce: use_dpop_nonce (RFC 9449 section 9).
	ErrNonce = refuse("use_dpop_nonce", "use_dpop_nonce", "dpop proof needs a fresh nonce",
		"The DPoP proof needs a fresh nonce: take it from the DPoP-Nonce header, and repeat the request with "+
			"a new proof.")
	// ErrReplayed is for the caller of Rules.Check to return, who remembers proofs.
	ErrReplayed = refuse("invalid_dpop_proof", "dpop_proof_replayed", "dpop proof was used before",
		"The DPoP proof was used before: make a new one for each request.")
	// ErrRevoked: valid, and dead by the status document.
	ErrRevoked = refuse("invalid_token", "access_token_revoked", "access token was revoked",
		"The access token was revoked: its certificate was replaced, or its agent has changed. POST /v1/auth/token issues "+
			"a new one to an agent that is still entitled to it.")
	// ErrScheme: Bearer for a token that is bound to a key, or the reverse.
	ErrScheme = refuse("invalid_token", "access_token_scheme_wrong", "access token is shown by the wrong means",
		"A token of type DPoP is shown as Authorization: DPoP with a proof, one of type Bearer as "+
			"Authorization: Bearer.")
)

// unavailable declares a 503: the verifier itself lacks what it judges by, and the request may be repeated.
func unavailable(code, text, sentence string) *Error {
	return &Error{Status: 503, Code: code, Sentence: sentence, text: text}
}

// Why a status document is not learnt. The one that was learnt before counts until it is stale.
var (
	// ErrStatus: unsigned, by another key, of another type, or malformed.
	ErrStatus       = unavailable("status_invalid", "status document does not hold", "")
	ErrStatusIssuer = unavailable("status_of_another_issuer", "status document is of another issuer", "")
	// ErrStatusAhead: its date lies ahead of this server's clock.
	ErrStatusAhead = unavailable("status_ahead", "status document is of the future", "")
	// ErrStatusOlder: its date is before that of one that was learnt. Two instances of the Mastio may answer so.
	ErrStatusOlder      = unavailable("status_older", "status document is older than one that was learnt", "")
	ErrStatusRolledBack = unavailable("status_rolled_back", "status document has a lower seq than the one before", "")
	// ErrStatusForked: the same seq, and something else in it.
	ErrStatusForked = unavailable("status_forked", "status document says something else under the same seq", "")
)

// Why no request can be judged.
var (
	// ErrStale: what is known of revocations is too old, or nothing is known. Fail closed.
	ErrStale = unavailable("status_stale", "status document is stale",
		"This server cannot tell at the moment which access tokens were revoked. Repeat the request later.")
	// ErrStatusBehind: the token is of an Org CA that became current after the document.
	ErrStatusBehind = unavailable("status_behind", "token is newer than the status document",
		"The Org CA was rotated a moment ago, and this server does not know the new one yet. Repeat the request in a second.")
	// ErrKeys: the Mastio's keys were not fetched yet, or too long ago.
	ErrKeys = unavailable("keys_unavailable", "verification keys are not known",
		"This server cannot verify access tokens at the moment. Repeat the request later.")
	// ErrMemory: more proofs were shown than this server can remember.
	ErrMemory = unavailable("proofs_too_many", "memory of used proofs is full",
		"This server is shown more DPoP proofs than it can remember. Repeat the request later.")
)
