"""Why a request is refused, and what the answer to it says."""

from __future__ import annotations

_SCHEMES = 'DPoP algs="ES256"'


class VerifierError(Exception):
    """A refusal. ``str()`` is the text for a log; it never quotes the token or the proof.

    status: 401, or 503 where the verifier itself lacks what it judges by.
    code: for programs; it is the same in every implementation and never changed.
    challenge: value of the header WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1); empty: none.
    """

    status = 503
    code = "verifier_failed"
    challenge = ""
    text = "verifier failed"
    sentence = "This server cannot verify access tokens at the moment. Repeat the request later."

    def __init__(self, reason: str = "") -> None:
        super().__init__(f"{self.text}: {reason}" if reason else self.text)

    @property
    def detail(self) -> str:
        """What the answer says to people."""
        return self.sentence or str(self)


class TokenRequired(VerifierError):
    status, code, text = 401, "access_token_required", "access token required"
    challenge = f"{_SCHEMES}, Bearer"
    sentence = (
        "This resource takes an access token: Authorization: DPoP with a proof, or Bearer for a token that is "
        "bound to the certificate alone. POST /v1/auth/token issues one."
    )


class TokenInvalid(VerifierError):
    """Forged, expired, or of another issuer or audience."""

    status, code, text = 401, "access_token_invalid", "access token does not hold"
    challenge = f'{_SCHEMES}, error="invalid_token"'
    sentence = (
        "The access token is expired, forged, or for another audience. POST /v1/auth/token issues a new one."
    )


class BoundElsewhere(VerifierError):
    """Bound to another certificate, or to another key."""

    status, code, text = 401, "access_token_bound_elsewhere", "access token is bound to another holder"
    challenge = TokenInvalid.challenge
    sentence = (
        "The access token is bound to another certificate than the connection's, or to another key than the proof's. "
        "Get a token over this connection, with a proof by this key."
    )


class SchemeWrong(VerifierError):
    """Bearer for a token that is bound to a key, or the reverse."""

    status, code, text = 401, "access_token_scheme_wrong", "access token is shown by the wrong means"
    challenge = TokenInvalid.challenge
    sentence = (
        "A token of type DPoP is shown as Authorization: DPoP with a proof, one of type Bearer as "
        "Authorization: Bearer."
    )


class TokenRevoked(VerifierError):
    """Valid, and dead by the status document."""

    status, code, text = 401, "access_token_revoked", "access token was revoked"
    challenge = TokenInvalid.challenge
    sentence = (
        "The access token was revoked: its certificate was replaced, or its agent has changed. POST /v1/auth/token "
        "issues a new one to an agent that is still entitled to it."
    )


class ProofInvalid(VerifierError):
    """Wrong, or missing."""

    status, code, text = 401, "dpop_proof_invalid", "dpop proof does not hold"
    challenge = f'{_SCHEMES}, error="invalid_dpop_proof"'
    sentence = ""


class ProofReplayed(VerifierError):
    status, code, text = 401, "dpop_proof_replayed", "dpop proof was used before"
    challenge = ProofInvalid.challenge
    sentence = "The DPoP proof was used before: make a new one for each request."


class StatusStale(VerifierError):
    """What is known of revocations is too old, or nothing is known: fail closed."""

    code, text = "status_stale", "status document is stale"
    sentence = (
        "This server cannot tell at the moment which access tokens were revoked. Repeat the request later."
    )


class StatusBehind(VerifierError):
    """The token is of an Org CA that became current after the document."""

    code, text = "status_behind", "token is newer than the status document"
    sentence = (
        "The Org CA was rotated a moment ago, and this server does not know the new one yet. Repeat the request in a "
        "second."
    )


class KeysUnavailable(VerifierError):
    """The Mastio's keys were not fetched yet, or too long ago."""

    code, text = "keys_unavailable", "verification keys are not known"


class ProofsTooMany(VerifierError):
    code, text = "proofs_too_many", "memory of used proofs is full"
    sentence = "This server is shown more DPoP proofs than it can remember. Repeat the request later."


class StatusRefused(VerifierError):
    """A status document that is not learnt. The one before counts until it is stale."""

    code, text, sentence = "status_invalid", "status document does not hold", ""


class StatusOfAnotherIssuer(StatusRefused):
    code, text = "status_of_another_issuer", "status document is of another issuer"


class StatusAhead(StatusRefused):
    code, text = "status_ahead", "status document is of the future"


class StatusOlder(StatusRefused):
    code, text = "status_older", "status document is older than one that was learnt"


class StatusRolledBack(StatusRefused):
    code, text = "status_rolled_back", "status document has a lower seq than the one before"


class StatusForked(StatusRefused):
    code, text = "status_forked", "status document says something else under the same seq"
