"""Access tokens (RFC 9068)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from cryptography.hazmat.primitives.asymmetric import ec

from ._jose import Invalid, Object, date_of, decode, int_of, parse, text_of, texts_of

SKEW = 5  # seconds that the clock of the instance that signed may be ahead; never of exp
Keys = Callable[[str], Optional[ec.EllipticCurvePublicKey]]


@dataclass(frozen=True)
class Claims:
    """What a token says. Dates are seconds since 1970."""

    issuer: str
    subject: str  # the agent's id
    audience: list[str]
    client_id: str
    scope: str  # separated by spaces
    jti: str
    issued_at: float
    not_before: float | None
    expires: float
    x5t: str  # x5t#S256: the certificate that the token is bound to (RFC 8705)
    jkt: str  # thumbprint of the proof's key; empty: the token is bound to none
    capabilities: list[str]
    generation: int
    handle: str


def read(token: str, keys: Keys, now: float, issuer: str, audience: str) -> Claims:
    """The claims of a token that this issuer signed for this audience and that is valid now, or Invalid."""
    msg = parse(token)
    if text_of(msg.header, "typ") != "at+jwt":
        raise Invalid("typ is not at+jwt")
    kid = text_of(msg.header, "kid")
    key = keys(kid) if kid else None  # the only source of keys: a jwk in the header is the sender's word
    if key is None:
        raise Invalid("kid is missing or unknown")
    c = _claims(msg.claims(key))
    _check(c, now, issuer, audience)
    return c


def _claims(o: Object) -> Claims:
    cnf = o.get("cnf")
    if not isinstance(cnf, dict):
        raise Invalid("cnf is not an object")
    return Claims(
        issuer=text_of(o, "iss"),
        subject=text_of(o, "sub"),
        audience=texts_of(o, "aud"),
        client_id=text_of(o, "client_id"),
        scope=text_of(o, "scope"),
        jti=text_of(o, "jti"),
        issued_at=date_of(o, "iat") or 0,
        not_before=date_of(o, "nbf"),
        expires=date_of(o, "exp") or 0,
        x5t=text_of(cnf, "x5t#S256"),
        jkt=text_of(cnf, "jkt"),
        capabilities=texts_of(o, "capabilities"),
        generation=int_of(o, "generation"),
        handle=text_of(o, "handle"),
    )


def _hash(text: str) -> bool:
    try:
        return len(decode(text)) == 32
    except Invalid:
        return False


def _check(c: Claims, now: float, issuer: str, audience: str) -> None:
    for name, bad in (
        ("iss", c.issuer != issuer),
        ("sub", not c.subject),
        ("client_id", not c.client_id),
        ("jti", not c.jti),
        ("aud", audience not in c.audience or "" in c.audience),
        ("iat", int(c.issued_at) <= 0 or c.issued_at > now + SKEW),
        ("exp", int(c.expires) <= int(c.issued_at) or now >= c.expires),
        ("nbf", c.not_before is not None and c.not_before > now + SKEW),
        ("x5t#S256", not _hash(c.x5t)),
        ("jkt", bool(c.jkt) and not _hash(c.jkt)),
        ("generation", c.generation < 0),
    ):
        if bad:
            raise Invalid(f"{name} is missing, or does not hold here and now")
