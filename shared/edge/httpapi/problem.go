package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/accesstoken"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/anchor"
	"github.com/mastio-aws/mastio/shared/assertion"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/dpop"
	"github.com/mastio-aws/mastio/shared/jwk"
	"github.com/mastio-aws/mastio/shared/jwk/jws"
	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/openapi"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/renewal"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/caller"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
	"github.com/mastio-aws/mastio/shared/usecase/checkpoint"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/issue"
	"github.com/mastio-aws/mastio/shared/usecase/renew"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/rotatecert"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/startup"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/tokenkeys"
	"github.com/mastio-aws/mastio/shared/usecase/trail"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/shared/usecase/vouch"
)

// public is what the outside is told of an error.
type public struct {
	err     error
	status  int
	code    string
	detail  string // fixed words; empty: the error's own, which then never holds a cause from below
	oauth   string // RFC 6749 section 5.2 error code at the token endpoint; empty: by status
	retryIn time.Duration
	defects []anchor.Defect // of an uploaded CA: all of them; the first one's code is the problem's
}

// table is every error that the outside is told of. The first entry that an error matches decides, so the particular
// stand before the general. What is not in here is a 500 without a reason.
var table = []public{
	{err: ErrAdminSecret, status: 403, code: "admin_secret_invalid", detail: "The X-Admin-Secret header is missing, or does not hold the admin secret. It is MCP_PROXY_ADMIN_SECRET in proxy.env; on AWS it is in Secrets Manager."},
	{err: ErrAdminUnavailable, status: 503, code: "admin_secret_unavailable", detail: "The admin secret cannot be checked at the moment. Retry.", retryIn: time.Second},
	{err: ErrRoute, status: 404, code: "route_not_found", detail: "No such route."},
	{err: ErrMethod, status: 405, code: "method_not_allowed", detail: "This route does not take this method; see the Allow header."},
	{err: ErrMediaType, status: 415, code: "media_type_unsupported"},
	{err: ErrBodySize, status: 413, code: "body_too_large"},
	{err: ErrJSON, status: 400, code: "json_invalid"},
	{err: ErrQuery, status: 400, code: "query_invalid"},
	{err: ErrBody, status: 400, code: "body_unexpected", detail: "No request body is expected here."},
	{err: ErrForm, status: 400, code: "form_invalid", oauth: "invalid_request"},

	{err: ErrEvent, status: 400, code: "request_malformed", detail: "The request's method or its body's encoding cannot be read."},

	{err: agent.ErrID, status: 400, code: "agent_id_invalid"},
	{err: agent.ErrProfile, status: 400, code: "agent_profile_invalid"},
	{err: agent.ErrDelivery, status: 400, code: "hygiene_invalid", detail: "hygiene is {\"deliver\": \"notify\"} or {\"deliver\": \"secretsmanager\"}."},
	{err: agent.ErrNotFound, status: 404, code: "agent_not_found", detail: "No agent has this id. GET /v1/admin/agents lists them all."},
	{err: agent.ErrAlreadyEnrolled, status: 409, code: "agent_already_enrolled", detail: "An agent with this name exists and was not changed. Its certificate counts under the current Org CA. To replace what an agent brought itself (BYOCA, SPIFFE), send \"update_existing\": true. To give an agent whose certificate the Mastio issues a new one: POST /registry/agents/{agent_id}/rotate-cert."},
	{err: agent.ErrDeactivated, status: 409, code: "agent_deactivated", detail: "The agent is deactivated. Enrolling it again reactivates it."},
	{err: agent.ErrRotateAtYourCA, status: 409, code: "rotate_at_your_ca", detail: "This agent's certificate is not issued by the Mastio. Issue the new one at its own CA, then enrol it with update_existing."},
	{err: agent.ErrRevoked, status: 401, code: "certificate_revoked", detail: "Certificate has been revoked", oauth: "invalid_client"},

	{err: rotatecert.ErrConcurrent, status: 409, code: "agent_rotated_concurrently", detail: "Another rotation of this agent committed at the same moment; its certificate is the one that counts. Rotate again only if you need one more."},
	{err: renewal.ErrEarly, status: 429, code: "renewed_recently", detail: "This certificate was renewed, or made by a renewal, a moment ago. Use the newest one; renew it when Retry-After has passed, or better when GET /v1/agent/renewal-info says."},
	{err: agent.ErrKeyUsed, status: 400, code: "key_not_fresh", detail: "This key has been certified for the agent before, or was declared compromised. Make a new key and send a request for that one."},
	{err: agent.ErrProofKeyUsed, status: 400, code: "key_not_fresh", detail: "This DPoP key was declared compromised, or is the one that is replaced. Make a new key and send its dpop_jwk."},
	{err: renew.ErrSuperseded, status: 409, code: "certificate_superseded", detail: "This certificate was replaced by a rotation and only counts until the end of its grace period. Renew with the one that replaced it."},
	{err: pki.ErrNames, status: 400, code: "csr_names_differ"},
	{err: rotatecert.ErrGrace, status: 400, code: "grace_seconds_invalid"},
	{err: reason.ErrCode, status: 400, code: "reason_invalid"},
	{err: reason.ErrComment, status: 400, code: "comment_invalid"},
	{err: enroll.ErrCertificatePEM, status: 400, code: "cert_pem_invalid"},
	{err: enroll.ErrBundlePEM, status: 400, code: "trust_bundle_invalid"},
	{err: enroll.ErrNotUnderOrgCA, status: 400, code: "cert_not_signed_by_org_ca", detail: "The certificate does not chain to the current Org CA (GET /pki/ca.crt). Issue it under that one; put what stands between into the PEM, after the leaf."},
	{err: enroll.ErrNotUnderBundle, status: 400, code: "svid_not_signed_by_trust_bundle", detail: "The SVID does not chain to any CA of trust_bundle_pem. Put what stands between into svid_pem, after the leaf."},
	{err: vouch.ErrNoSPIFFEID, status: 400, code: "svid_missing_spiffe_uri", detail: "An SVID has exactly one URI subject alternative name, and that is a SPIFFE ID: spiffe://trust.domain/path."},
	{err: enroll.ErrTrustDomain, status: 400, code: "spiffe_uri_wrong_trust_domain"},
	{err: enroll.ErrNamesAnother, status: 400, code: "cert_names_another_agent"},
	{err: enroll.ErrKeyPEM, status: 400, code: "private_key_invalid"},
	{err: enroll.ErrKeyMismatch, status: 400, code: "key_does_not_match_cert", detail: "The private key is not the one that belongs to the certificate."},
	{err: enroll.ErrProof, status: 400, code: "possession_unproven", detail: "Send the leaf's private key, or possession_proof; one of them, not both."},
	{err: pki.ErrPossession, status: 400, code: "possession_proof_invalid"},
	{err: pki.ErrIssuer, status: 400, code: "issuer_ca_unacceptable"},
	{err: pki.ErrExtension, status: 400, code: "cert_extension_malformed"},
	{err: pki.ErrLeafKey, status: 400, code: "cert_weak_key"},
	{err: pki.ErrLeafIsCA, status: 400, code: "cert_is_ca"},
	{err: pki.ErrLeafUsage, status: 400, code: "cert_eku_not_client_auth"},
	{err: pki.ErrExpired, status: 400, code: "cert_expired"},
	{err: pki.ErrNotYetValid, status: 400, code: "cert_not_yet_valid"},
	{err: enroll.ErrTaken, status: 409, code: "certificate_in_use"},
	{err: enroll.ErrMethod, status: 409, code: "agent_method_differs", detail: "This agent was enrolled by another method and was not changed. To change the method, DELETE /v1/admin/agents/{agent_id} and enrol it again."},
	{err: enroll.ErrEdgeFull, status: 409, code: "trust_bundles_full", detail: "The edge holds 100 CAs of others already. Those that expire make room."},
	{err: enroll.ErrCapabilities, status: 409, code: "capabilities_differ", detail: "An agent with this name exists, has other capabilities than these, and was not changed. Enrolling it again leaves its capabilities as they are: send the same ones, or none. To change them (BYOCA, SPIFFE), send \"update_existing\": true."},
	{err: enroll.ErrFederated, status: 400, code: "federated_unsupported", detail: "\"federated\": true asks for an agent that other organisations know. This Mastio serves one organisation. Send false, or leave the member out."},
	{err: enroll.ErrLimit, status: 400, code: "limit_invalid"},
	{err: registry.ErrCursor, status: 400, code: "cursor_invalid", detail: "The cursor is not one that a listing gave out."},
	{err: issue.ErrValidity, status: 400, code: "validity_days_invalid"},
	{err: issue.ErrDPoPJWK, status: 400, code: "dpop_jwk_invalid"},
	{err: pki.ErrKey, status: 400, code: "csr_key_unacceptable", detail: "The key must be EC on P-256 or P-384, or RSA of 2048 to 4096 bits."},
	{err: pki.ErrCSR, status: 400, code: "csr_invalid", detail: "csr_pem takes one PEM certification request (PKCS #10) of at most 16 KiB, signed by its own key with SHA-256 or better."},

	{err: rotateca.ErrMode, status: 400, code: "mode_unknown", detail: "mode takes mint, upload, stage (with source=mint or source=upload), commit, rollback or finalise."},
	{err: rotateca.ErrUpload, status: 400, code: "upload_invalid", detail: "mode=upload takes the files ca_cert and ca_key."},
	{err: ErrUpload, status: 400, code: "upload_invalid"},
	{err: anchor.ErrRefused, status: 422, code: "ca_refused", detail: "The CA was refused and nothing was changed; errors lists everything that is wrong with it."},
	{err: rotateca.ErrFingerprint, status: 400, code: "fingerprint_invalid", detail: "fingerprint goes with mode=commit, and is the 64 hex digits that the pre-flight showed."},
	{err: rotateca.ErrNotStaged, status: 404, code: "staged_ca_not_found", detail: "No staged Org CA has this fingerprint. POST /pki/rotate-ca?mode=stage shows the one that is staged; it may have been committed already."},
	{err: rotateca.ErrMoved, status: 409, code: "org_ca_moved", detail: "The Org CA is another one by now than this was asked for. Nothing was changed. Look at the present state, and ask again if it is still what you want."},
	{err: rotateca.ErrDryRun, status: 400, code: "dry_run_unsupported", detail: "dry_run goes with mode=mint, mode=upload and mode=commit."},
	{err: orgca.ErrOverlap, status: 400, code: "overlap_invalid", detail: "overlap takes 0 to 7776000 seconds, with mode=mint, mode=upload and mode=commit."},
	{err: orgca.ErrNotValid, status: 503, code: "org_ca_not_valid", detail: "The current Org CA, or a certificate above it, is not valid now, so nothing was issued. Rotate it: POST /pki/rotate-ca?mode=mint. GET /healthz names its dates.", oauth: "temporarily_unavailable"},
	{err: orgca.ErrUnfit, status: 409, code: "ca_not_valid", detail: "This CA, or a certificate of its chain, is not valid now, so it cannot become current. Nothing was changed; GET /pki/rotate-ca shows its dates. POST /pki/rotate-ca?mode=mint takes a CA that is valid."},
	{err: orgca.ErrOverlaps, status: 409, code: "overlaps_exhausted", detail: "Eight earlier Org CAs are in an overlap already. Rotate without overlap, or end the overlaps with mode=finalise first."},
	{err: orgca.ErrCompromised, status: 400, code: "overlap_invalid", detail: "After a compromise nothing of the present Org CA may live on: who has its key could make certificates for any SPIFFE ID. Rotate without overlap."},
	{err: orgca.ErrNoRollback, status: 409, code: "rollback_not_possible", detail: "There is no generation to go back to: the rotation was finalised, undone already, or made for a compromised key."},
	{err: rotateca.ErrIdempotencyKey, status: 400, code: "idempotency_key_invalid", detail: "Idempotency-Key takes 1 to 255 printable characters."},
	{err: rotateca.ErrIdempotencyReused, status: 422, code: "idempotency_key_reused", detail: "This Idempotency-Key was used for a different request within the last 24 hours."},
	{err: rotateca.ErrBackup, status: 503, code: "backup_failed", detail: "The backup before the rotation could not be requested, so nothing was changed. Retry, or rotate without one: backup=skip.", retryIn: 5 * time.Second},
	{err: lease.ErrHeld, status: 409, code: "rotation_in_progress", detail: "Another rotation is in progress. Retry after it; GET /pki/rotate-ca shows it.", retryIn: lease.TTL},
	{err: lease.ErrLost, status: 409, code: "rotation_lock_lost", detail: "This rotation took too long and another one has begun. Nothing was changed; GET /pki/rotate-ca shows the present state.", retryIn: lease.TTL},
	{err: orgca.ErrReason, status: 400, code: "reason_invalid"},
	{err: orgca.ErrLegacy, status: 503, code: "org_ca_legacy", detail: "MCP_PROXY_STRICT_PKI=1 refuses boot on legacy Org CA. Run POST /pki/rotate-ca.", oauth: "temporarily_unavailable"},
	{err: rotateca.ErrStrict, status: 409, code: "strict_pki", detail: "MCP_PROXY_STRICT_PKI=1 lets no legacy Org CA (pathLen=0) become current, so there is no way back to it."},
	{err: orgca.ErrMissing, status: 503, code: "org_ca_missing", detail: "The first Org CA is still being made. Retry.", retryIn: 5 * time.Second},
	{err: orgca.ErrStaleFence, status: 409, code: "rotation_lock_lost", detail: "A later rotation has committed. Nothing was changed."},
	{err: truststore.ErrChanged, status: 503, code: "truststore_busy", detail: "The truststore keeps changing. Nothing was rotated; retry.", retryIn: time.Second},
	{err: truststore.ErrStore, status: 503, code: "truststore_unavailable", detail: "The truststore cannot be brought up to date. Nothing was rotated; retry.", retryIn: 5 * time.Second},
	{err: ceremony.ErrKeys, status: 503, code: "key_store_unavailable", detail: "The key store did not do its part. Nothing was changed; retry.", retryIn: 5 * time.Second},

	{err: audit.ErrNoChain, status: 404, code: "audit_subject_not_found", detail: "Nothing is recorded of this subject. It is an agent's id, or the organisation's."},
	{err: trail.ErrLimit, status: 400, code: "limit_invalid"},
	{err: trail.ErrPeriod, status: 400, code: "period_invalid"},
	{err: trail.ErrEvent, status: 400, code: "event_type_unknown"},
	{err: trail.ErrParts, status: 400, code: "checkpoint_invalid", detail: "from_checkpoint and to_checkpoint take numbers of checkpoints that exist. GET /v1/admin/audit/head tells the last one."},
	{err: trail.ErrTooLarge, status: 413, code: "audit_answer_too_large", detail: "It does not fit into one answer. Follow the Link header: the answers to it hold a part each, and lead from one to the next."},
	{err: trail.ErrTail, status: 413, code: "audit_unsealed_too_large", detail: "More has happened since the last checkpoint than fits into one answer. POST /v1/admin/audit/checkpoint, then ask again."},
	{err: checkpoint.ErrTaken, status: 503, code: "audit_archive_conflict", detail: "The archive of checkpoints holds something else where this checkpoint belongs. Nothing was overwritten; the function's log tells more."},
	{err: checkpoint.ErrArchive, status: 503, code: "audit_archive_unavailable", detail: "The archive of checkpoints did not answer. Retry; a checkpoint that was begun is completed then.", retryIn: 5 * time.Second},

	{err: caller.ErrNoCertificate, status: 401, code: "client_certificate_required", detail: "Client certificate required", oauth: "invalid_client"},
	{err: caller.ErrCertificate, status: 401, code: "client_certificate_invalid", detail: "Client certificate cannot be read", oauth: "invalid_client"},
	{err: caller.ErrNotInValidity, status: 401, code: "certificate_expired", detail: "Certificate is outside its validity period", oauth: "invalid_client"},
	{err: caller.ErrUnknownAgent, status: 401, code: "agent_unknown", detail: "Unknown agent", oauth: "invalid_client"},
	{err: caller.ErrUntrusted, status: 401, code: "svid_not_trusted", detail: "SVID is not issued under the agent's trust bundle", oauth: "invalid_client"},
	{err: caller.ErrChain, status: 400, code: "svid_chain_invalid", detail: "svid_chain_pem takes at most 8 PEM certificates", oauth: "invalid_request"},
	{err: caller.ErrForeign, status: 401, code: "certificate_of_another_agent", detail: "Certificate was issued to another agent than client_id names", oauth: "invalid_client"},
	{err: caller.ErrClientID, status: 400, code: "client_id_invalid", detail: "client_id is not of the form {org_id}::{name}", oauth: "invalid_request"},
	{err: assertion.ErrUsed, status: 401, code: "client_assertion_used", detail: "The client assertion was used before. Ask for a new challenge, or a new assertion, for each token", oauth: "invalid_client"},
	{err: assertion.ErrInvalid, status: 401, code: "client_assertion_invalid", oauth: "invalid_client"},
	{err: token.ErrGrant, status: 400, code: "grant_type_unsupported", detail: "Only grant_type=client_credentials is supported", oauth: "unsupported_grant_type"},
	{err: token.ErrScope, status: 400, code: "scope_invalid", detail: "The requested scope exceeds the agent's capabilities", oauth: "invalid_scope"},
	{err: token.ErrResource, status: 400, code: "resource_invalid", detail: "resource is not an absolute URI without fragment", oauth: "invalid_target"},
	{err: token.ErrProofRequired, status: 400, code: "dpop_proof_required", detail: "A DPoP proof is required", oauth: "invalid_dpop_proof"},
	{err: token.ErrProofKey, status: 400, code: "dpop_key_unregistered", detail: "The DPoP proof was made with another key than the agent's registered one", oauth: "invalid_dpop_proof"},
	{err: registry.ErrReplayed, status: 400, code: "dpop_proof_replayed", detail: "The DPoP proof was used before", oauth: "invalid_dpop_proof"},
	{err: dpop.ErrNonceMissing, status: 400, code: "dpop_nonce_required", detail: "Authorization server requires nonce in DPoP proof", oauth: "use_dpop_nonce"},
	{err: dpop.ErrNonce, status: 400, code: "dpop_nonce_invalid", detail: "The nonce in the DPoP proof is not valid any more", oauth: "use_dpop_nonce"},
	{err: dpop.ErrClock, status: 400, code: "dpop_proof_invalid", oauth: "invalid_dpop_proof"},
	{err: dpop.ErrProof, status: 400, code: "dpop_proof_invalid", oauth: "invalid_dpop_proof"},
	{err: dpop.ErrMissing, status: 400, code: "dpop_proof_required", detail: "A DPoP proof is required", oauth: "invalid_dpop_proof"},

	{err: session.ErrNone, status: 401, code: "session_required", detail: "Sign in to go on."},
	{err: session.ErrSecret, status: 403, code: "admin_secret_invalid", detail: "This is not the admin secret. It is MCP_PROXY_ADMIN_SECRET in proxy.env."},
	{err: session.ErrLocked, status: 429, code: "too_many_attempts", detail: "Too many failed attempts."},
	{err: session.ErrForged, status: 403, code: "form_forged", detail: "This form was not sent from a page of your session. Nothing was changed. Open the page again and repeat what you did."},
	{err: session.ErrUsed, status: 409, code: "form_used", detail: "This form was sent before, and works once. Nothing was done a second time."},

	{err: registry.ErrUnavailable, status: 503, code: "store_unavailable", detail: "The store did not answer. Nothing was changed; retry.", oauth: "temporarily_unavailable", retryIn: time.Second},
	{err: registry.ErrUnknown, status: 503, code: "outcome_unknown", detail: "The store did not confirm the change, which may have happened. Read the present state before you retry.", oauth: "temporarily_unavailable", retryIn: time.Second},
	{err: registry.ErrConflict, status: 409, code: "changed_concurrently", detail: "Somebody else keeps changing the same thing. Nothing was changed by this request; retry.", retryIn: time.Second},
}

// These are the errors that no request can cause by itself: a 500 without a reason, its cause in the log.
var _ = []error{
	accesstoken.ErrClaims, accesstoken.ErrToken, accesstoken.ErrExpired, audit.ErrBroken, audit.ErrEvent, audit.ErrKey, audit.ErrSignature, bundle.ErrForm, jwk.ErrKey, openapi.ErrDocument,
	orgca.ErrTransition, orgca.ErrSource, registry.ErrUnsupported, truststore.ErrBusy, pki.ErrChain, pki.ErrPathLen, pki.ErrProfile, pki.ErrPEM, pki.ErrSPIFFEID, tokenkeys.ErrKey, jws.ErrInvalid,
	standby.ErrRestored, hygiene.ErrVersionTaken,
	startup.ErrRegistry, startup.ErrNoOrgCA, startup.ErrTruststore, startup.ErrUnread, startup.ErrDomain, startup.ErrSecret, startup.ErrTokenKey,
}

// ToldError is an error that another function has explained already.
type ToldError struct{ Problem }

// Told reads what another function answered. Error: ErrProblem, for what is no problem document.
func Told(document []byte, retryIn time.Duration) error {
	var p Problem
	if err := json.Unmarshal(document, &p); err != nil || p.Status < 400 || p.Status > 599 || p.Code == "" {
		return ErrProblem
	}
	p.RetryIn = retryIn
	return &ToldError{p}
}

// Error implements error.
func (e *ToldError) Error() string { return e.Code + ": " + e.Detail }

// ErrProblem reports an answer of another function that is no problem document.
var ErrProblem = errors.New("not a problem document")

// explain finds what the outside is told of an error.
func explain(err error) public {
	if told, ok := errors.AsType[*ToldError](err); ok {
		return public{status: told.Status, code: told.Code, detail: told.Detail, defects: told.Errors, retryIn: told.RetryIn}
	}
	for _, p := range table {
		if !errors.Is(err, p.err) {
			continue
		}
		if p.detail == "" {
			p.detail = err.Error()
		}
		var refusal *anchor.Refusal
		if errors.As(err, &refusal) {
			p.code, p.defects = string(refusal.Defects[0].Code), refusal.Defects
		}
		var held *lease.HeldError
		if errors.As(err, &held) {
			p.retryIn = held.RetryAfter
		}
		var locked *session.LockedError
		if errors.As(err, &locked) {
			p.retryIn = locked.RetryAfter
		}
		var early *renewal.EarlyError
		if errors.As(err, &early) {
			p.retryIn = early.RetryAfter
		}
		return p
	}
	return public{status: http.StatusInternalServerError, code: "internal", detail: "Something went wrong here. The request id names the log entry that tells what."}
}

// Explain returns what the outside is told of an error, for an edge that tells it in another form.
func Explain(err error, requestID string) Problem {
	p := explain(err)
	return Problem{
		Type: "about:blank", Title: http.StatusText(p.status), Status: p.status, Detail: p.detail, Code: p.code, RequestID: requestID, Errors: p.defects, RetryIn: p.retryIn,
	}
}

// Problem is an error answer (RFC 9457).
type Problem struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Detail    string          `json:"detail"`
	Code      string          `json:"code"`
	RequestID string          `json:"request_id"`
	Errors    []anchor.Defect `json:"errors,omitempty"`

	RetryIn time.Duration `json:"-"` // the Retry-After header; zero: none
}

func (p public) header(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	if p.retryIn > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.retryIn/time.Second)))
	}
}

// writeProblem answers with a problem document.
func writeProblem(w http.ResponseWriter, p public, requestID string) {
	p.header(w)
	write(w, p.status, "application/problem+json", Problem{
		Type: "about:blank", Title: http.StatusText(p.status), Status: p.status, Detail: p.detail, Code: p.code, RequestID: requestID, Errors: p.defects,
	})
}

// writeOAuthError answers as RFC 6749 section 5.2 asks: clients of the token endpoint understand nothing else.
func writeOAuthError(w http.ResponseWriter, p public) {
	p.header(w)
	code := p.oauth
	switch {
	case code != "":
	case p.status >= 500:
		code = "server_error"
	default:
		code = "invalid_request"
	}
	write(w, p.status, "application/json", struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, strings.Map(describable, p.detail)})
}

// describable maps a character to one that error_description may hold (RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E).
func describable(r rune) rune {
	switch {
	case r == '"':
		return '\''
	case r == '\\':
		return '/'
	case r < 0x20 || r > 0x7e:
		return '?'
	}
	return r
}

func write(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only a programming error can get here
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
