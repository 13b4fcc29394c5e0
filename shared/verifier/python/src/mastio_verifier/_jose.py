"""Compact JWS by ES256 and JSON as strictly as the Mastio reads them: one spelling of everything."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

MAX_SIZE = 8 << 10
MAX_DEPTH = 16
MAX_DATE = 253402300799  # in the year 9999

Object = dict[str, Any]
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")


class Invalid(ValueError):
    """A message, or a part of one, that is not read here. The text never quotes it."""


def decode(text: str) -> bytes:
    """Base64url in its one canonical spelling (RFC 7515, 2)."""
    if not _BASE64URL.match(text) or len(text) % 4 == 1:
        raise Invalid("not base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(raw) != text:
        raise Invalid("not canonical base64url")
    return raw


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class _Fraction(float):
    """A number that is written with a fraction or an exponent."""


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    o = dict(pairs)
    if len(o) != len(pairs):
        raise Invalid("duplicate member")
    return o


def _constant(_: str) -> Any:
    raise Invalid("not JSON")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= 20 else _Fraction(text)


def parse_object(raw: bytes, limit: int = MAX_SIZE) -> Object:
    """One JSON object whose members are unique at every depth, and nothing after it."""
    if len(raw) > limit:
        raise Invalid("JSON too long")
    try:
        text = raw.decode("utf-8")
        _shallow(text)
        o = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_Fraction, parse_int=_integer
        )
    except Invalid:
        raise
    except (ValueError, RecursionError):
        raise Invalid("not a JSON object") from None
    if not isinstance(o, dict):
        raise Invalid("not a JSON object")
    return o


def _shallow(text: str) -> None:
    depth, quoted, skip = 0, False, False
    for c in text:
        if skip:
            skip = False
        elif quoted:
            skip, quoted = c == "\\", c != '"'
        elif c == '"':
            quoted = True
        elif c in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Invalid("JSON nested too deeply")
        elif c in "]}":
            depth -= 1


def text_of(o: Object, name: str) -> str:
    """A string; absent: empty."""
    v = o.get(name, "")
    if not isinstance(v, str):
        raise Invalid(f"{name} is not a string")
    return v


def texts_of(o: Object, name: str) -> list[str]:
    """An array of strings; absent: empty."""
    v = o.get(name, [])
    if not isinstance(v, list) or not all(isinstance(s, str) for s in v):
        raise Invalid(f"{name} is not an array of strings")
    return v


def int_of(o: Object, name: str) -> int:
    """An integer of 64 bits, written without fraction or exponent; absent: 0."""
    v = o.get(name, 0)
    if not isinstance(v, int) or isinstance(v, bool) or not -(1 << 63) <= v < 1 << 63:
        raise Invalid(f"{name} is not an integer")
    return v


def date_of(o: Object, name: str) -> float | None:
    """A NumericDate (RFC 7519, 2): seconds since 1970, possibly with a fraction."""
    if name not in o:
        return None
    v = o[name]
    if isinstance(v, bool) or not isinstance(v, (int, float)) or not math.isfinite(v) or not 0 <= v <= MAX_DATE:
        raise Invalid(f"{name} is not a date")
    return float(v)


def parse_jwk(o: Any) -> ec.EllipticCurvePublicKey:
    """A public key on P-256 for ES256 signatures. A private key is refused."""
    if not isinstance(o, dict):
        raise Invalid("jwk is not an object")
    if "d" in o:
        raise Invalid("private key")
    for name, want, optional in (
        ("kty", "EC", False), ("crv", "P-256", False), ("alg", "ES256", True), ("use", "sig", True)
    ):
        if (name in o or not optional) and text_of(o, name) != want:
            raise Invalid(f"{name} is not {want}")
    if "key_ops" in o and "verify" not in texts_of(o, "key_ops"):
        raise Invalid("key_ops does not allow verify")
    x, y = decode(text_of(o, "x")), decode(text_of(o, "y"))
    if len(x) != 32 or len(y) != 32:
        raise Invalid("a coordinate has not 32 octets")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    except ValueError:
        raise Invalid("point is not on the curve") from None


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """The RFC 7638 SHA-256 thumbprint, from the point and not from what was sent."""
    n = key.public_numbers()
    x, y = encode(n.x.to_bytes(32, "big")), encode(n.y.to_bytes(32, "big"))
    return encode(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())


@dataclass(frozen=True)
class Message:
    """A JWS taken apart. Nothing in it may be believed before claims()."""

    header: Object
    _input: bytes
    _payload: bytes
    _signature: bytes
    _limit: int

    def claims(self, key: ec.EllipticCurvePublicKey) -> Object:
        """The payload, the signature being by the key."""
        r, s = (int.from_bytes(part, "big") for part in (self._signature[:32], self._signature[32:]))
        try:
            key.verify(encode_dss_signature(r, s), self._input, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Invalid("signature does not verify") from None
        return parse_object(self._payload, self._limit)


def parse(compact: str, limit: int = MAX_SIZE) -> Message:
    """Takes a compact JWS apart and checks everything but its signature."""
    if len(compact) > limit:
        raise Invalid(f"longer than {limit} bytes")
    parts = compact.split(".")
    if len(parts) != 3:
        raise Invalid(f"{len(parts)} parts instead of 3")
    header = parse_object(decode(parts[0]), limit)
    payload, signature = decode(parts[1]), decode(parts[2])
    if text_of(header, "alg") != "ES256":  # the only one: neither none nor an HMAC with a public key
        raise Invalid("alg is not ES256")
    for name in ("crit", "b64"):
        if name in header:
            raise Invalid(f"{name} is not supported")
    for name in ("kid", "typ", "cty"):
        text_of(header, name)
    if len(signature) != 64:
        raise Invalid(f"signature of {len(signature)} bytes instead of 64")
    return Message(header, f"{parts[0]}.{parts[1]}".encode(), payload, signature, limit)
