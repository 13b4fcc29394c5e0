"""Proofs of possession (RFC 9449)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._jose import Invalid, Object, date_of, encode, parse, parse_jwk, text_of, thumbprint

WINDOW = 60  # seconds: how old a proof may be
AHEAD = 10  # seconds that a client's clock may be fast
MAX_ID = 256  # bytes of a jti


@dataclass(frozen=True)
class Proof:
    """A verified proof. That it was not used before is still to be checked."""

    jkt: str
    jti: str
    replay_until: int  # no proof with this pair may be accepted before


def from_header(values: list[str]) -> str:
    """The one proof of the header DPoP."""
    if len(values) != 1 or not values[0] or "," in values[0]:
        raise Invalid("not exactly one DPoP header")
    return values[0]


def verify(raw: str, method: str, url: str, now: float, token: str) -> Proof:
    """The checks of RFC 9449, 4.3, except replay, or Invalid."""
    msg = parse(raw)
    if text_of(msg.header, "typ") != "dpop+jwt":
        raise Invalid("typ is not dpop+jwt")
    key = parse_jwk(msg.header.get("jwk"))
    claims = msg.claims(key)
    if not method or text_of(claims, "htm") != method:
        raise Invalid("htm is not the request's method")
    if normalise(text_of(claims, "htu")) != normalise(url):
        raise Invalid("htu is not the request's URL")
    if text_of(claims, "ath") != encode(hashlib.sha256(token.encode()).digest()):
        raise Invalid("ath is not the access token's hash")
    text_of(claims, "nonce")
    issued_at = _issued_at(claims, now)
    jti = text_of(claims, "jti")
    if not 1 <= len(jti.encode()) <= MAX_ID:
        raise Invalid(f"jti is not of 1 to {MAX_ID} bytes")
    return Proof(thumbprint(key), jti, int(issued_at) + WINDOW + 1)


def _issued_at(claims: Object, now: float) -> float:
    iat, exp, nbf = date_of(claims, "iat"), date_of(claims, "exp"), date_of(claims, "nbf")
    if iat is None:
        raise Invalid("iat is missing")
    if iat < now - WINDOW:
        raise Invalid(f"iat is too old, {now - iat:.0f} s behind this server's clock, at most {WINDOW} are allowed")
    if iat > now + AHEAD:
        raise Invalid(f"iat is in the future, {iat - now:.0f} s ahead of this server's clock")
    if exp is not None and now >= exp or nbf is not None and nbf > now + AHEAD:
        raise Invalid("exp or nbf does not hold")
    return iat


_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]+\Z")
_PATH = re.compile(r"(?:[!-$&-\[\]^_`a-z|~{}]|%[0-9A-Fa-f]{2})*\Z")
_PORT = {"https": "443", "http": "80"}


def normalise(url: str) -> str:
    """The one spelling of a URL (RFC 3986, 6.2.2 and 6.2.3), without query and fragment."""
    m = re.match(r"(https?)://([^/?#]*)([^?#]*)", url, re.IGNORECASE)
    if not m or not _HOST.match(m[2]) or not _PATH.match(m[3]):
        raise Invalid("not an absolute http or https URL")
    scheme, host = m[1].lower(), m[2].lower()
    try:
        parts = urlsplit(f"{scheme}://{host}")
        if not parts.hostname or parts.port is not None and not host.endswith(f":{parts.port}"):
            raise Invalid("not a host")
    except ValueError:
        raise Invalid("not a host") from None
    host = host.removesuffix(":" + _PORT[scheme]).removesuffix(":")
    return f"{scheme}://{host}{_segments(re.sub('%..', _escape, m[3]))}"


def _escape(m: re.Match[str]) -> str:
    c = chr(int(m[0][1:], 16))
    return c if re.match(r"[A-Za-z0-9._~-]", c) else m[0].upper()


def _segments(path: str) -> str:
    segments = path.removeprefix("/").split("/")
    kept: list[str] = []
    for i, s in enumerate(segments):
        if s == "..":
            del kept[-1:]
        elif s != ".":
            kept.append(s)
            continue
        if i == len(segments) - 1:  # a dot segment at the end leaves its slash
            kept.append("")
    return "/" + "/".join(kept)
