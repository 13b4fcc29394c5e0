"""The verifier: one entry point for every framework."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from . import _dpop, _status, _token, errors
from ._feed import Feed, fetch, secure
from ._jose import Invalid, encode, parse_jwk, parse_object
from ._proxy import Proxy

_KEYS_SIZE = 8 << 10
_KEYS_EVERY = 300.0
_KEYS_LIFE = 3600.0
_PROOF_LIFE = _dpop.WINDOW + _dpop.AHEAD + 2
_MAX_PROOFS = 1 << 20


@dataclass(frozen=True)
class Request:
    """What a request shows. certificate is the DER that the client has proved on this very connection; None: none."""

    method: str
    path: str  # as it is in the request, escaped; a query is not looked at
    headers: Sequence[tuple[str, str]]
    certificate: bytes | None = None
    remote: str = ""  # address of the peer, without its port


@dataclass(frozen=True)
class Verified:
    """What a request has proved."""

    claims: _token.Claims
    scheme: str  # Bearer or DPoP


class Memory:
    """Used proofs, in two halves: when the young one is old enough it becomes the old one, which is forgotten whole."""

    def __init__(self, most: int = _MAX_PROOFS) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._turned = float("-inf")
        self._young_until = self._old_until = 0.0

    def use(self, jkt: str, jti: str, until: float, monotonic: float, now: float) -> None:
        """Raises ProofReplayed for a proof that was used before."""
        proof = hashlib.sha256(f"{jkt}\0{jti}".encode()).digest()[:16]
        with self._lock:
            # The date matters as well as the time that went by: a clock that is set back makes old proofs new.
            if monotonic - self._turned >= _PROOF_LIFE and now > self._old_until:
                self._old, self._old_until = self._young, self._young_until
                self._young, self._young_until, self._turned = set(), 0.0, monotonic
            if proof in self._young or proof in self._old:
                raise errors.ProofReplayed()
            if len(self._young) >= self._most:
                raise errors.ProofsTooMany()
            self._young.add(proof)
            self._young_until = max(self._young_until, until)


class Verifier:
    """Verifies requests to a resource server, and keeps keys and status up to date in the background. Thread-safe.

    issuer: the Mastio's issuer identifier, as it is in tokens.
    audience: this server's own name: the resource that agents ask tokens for.
    url: how clients know this server; a proof names it. Default: the origin of audience.
    mastio: base URL that keys and status are fetched from. Default: issuer. A host that asks for a client certificate
        wants a context with one in tls.
    max_stale: how old the status may be, 5 to 300 seconds: a revocation holds here so many seconds later at the
        latest, and this server outlasts an outage of the Mastio that is shorter.
    proxy: one that ends TLS before this server. Default: no header is believed.
    use_proof: remembers (jkt, jti) until a date and raises ProofReplayed where it was used before. Default: the memory
        of this process, which other processes do not share.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        url: str = "",
        mastio: str = "",
        max_stale: float = 30,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        use_proof: Callable[[str, str, int], None] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not url:
            u = urlsplit(audience)
            url = f"{u.scheme}://{u.netloc}"
        mastio = (mastio or issuer).removesuffix("/")
        wrong = [f"{n} {v!r} is no https URL" for n, v in (("issuer", issuer), ("mastio", mastio), ("url", url)) if not secure(v)]
        if not audience:
            wrong.append("audience is missing")
        if not 5 <= max_stale <= 300:
            wrong.append(f"max_stale {max_stale} is not of 5 to 300 seconds")
        if wrong:
            raise ValueError("; ".join(wrong))
        self._issuer, self._audience, self._url = issuer, audience, url.removesuffix("/")
        self._max_stale, self._proxy = max_stale, proxy
        self._use_proof, self._clock, self._monotonic = use_proof, clock, monotonic
        self._keys: dict[str, ec.EllipticCurvePublicKey] | None = None
        self._keys_at = 0.0
        self._status, self._memory = _status.Status(), Memory()

        def get(path: str, accept: str, limit: int, timeout: float) -> Callable[[], bytes]:
            return lambda: fetch(mastio + path, accept, limit, timeout, tls)

        timeout = min(5.0, max_stale / 2)
        self._key_feed = Feed(
            "keys", get("/.well-known/jwks.json", "application/json", _KEYS_SIZE, 5.0), self._take_keys, _KEYS_EVERY, 60,
            5.0,
        )
        self._status_feed = Feed(
            "status", get(_status.PATH, f"application/{_status.TYPE}", _status.SIZE, timeout), self._take_status,
            min(2.0, max_stale / 3), min(30.0, max_stale / 3), timeout, _status.BEHIND_APART,
        )

    def start(self) -> Verifier:
        """Begins to fetch. Until both documents are there everything is refused: wait() waits for them."""
        self._key_feed.start()
        self._status_feed.start()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Whether both documents were fetched."""
        end = None if timeout is None else time.monotonic() + timeout
        first = self._key_feed.first.wait(timeout)
        return first and self._status_feed.first.wait(None if end is None else max(0, end - time.monotonic()))

    def close(self) -> None:
        """Ends the fetches. What was learnt gets stale: everything is refused then."""
        self._key_feed.close()
        self._status_feed.close()

    def __enter__(self) -> Verifier:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def verify(self, r: Request) -> Verified:
        """What a request proves, or a VerifierError. It makes no call, unless a token names an unknown key.

        Right after a rotation of the Org CA it waits for the status document that names the new one, for four seconds
        at most.
        """
        if self._keys is None or self._monotonic() - self._keys_at > _KEYS_LIFE:
            raise errors.KeysUnavailable()
        certificate = r.certificate
        if self._proxy is not None and self._proxy.sent(r.remote):
            certificate = self._proxy.certificate(_values(r, self._proxy.header))
        scheme, token = _credentials(_values(r, "authorization"))
        try:
            claims = _token.read(token, self._key, self._clock(), self._issuer, self._audience)
        except Invalid as e:
            raise errors.TokenInvalid(str(e)) from None
        if certificate is None or not _same(claims.x5t, encode(hashlib.sha256(certificate).digest())):
            raise errors.BoundElsewhere("the connection's certificate is not the token's")
        if bool(claims.jkt) != (scheme == "DPoP"):
            raise errors.SchemeWrong()
        proof = self._prove(r, claims, token) if claims.jkt else None
        self._live(claims)
        now, monotonic = self._clock(), self._monotonic()
        if proof is not None and self._use_proof is not None:
            self._use_proof(proof.jkt, proof.jti, proof.replay_until)
        elif proof is not None:
            self._memory.use(proof.jkt, proof.jti, proof.replay_until, monotonic, now)
        return Verified(claims, scheme)

    def _live(self, claims: _token.Claims) -> None:
        """Judges a token by the status. One of an Org CA that is newer than the status waits for another document.

        Every instance of the Mastio, and a cache, hands a document out for a second: the third one names the new Org CA.
        """
        end = time.monotonic() + _status.BEHIND_WAIT
        while True:
            try:
                return self._status.live(claims, self._max_stale, self._monotonic(), self._clock())
            except errors.StatusBehind:
                if not self._status_feed.soon(max(0, end - time.monotonic())):
                    raise

    def _prove(self, r: Request, claims: _token.Claims, token: str) -> _dpop.Proof:
        try:
            raw = _dpop.from_header(_values(r, "dpop"))
            url = self._url + r.path.partition("?")[0]
            proof = _dpop.verify(raw, r.method, url, self._clock(), token)
        except Invalid as e:
            raise errors.ProofInvalid(str(e)) from None
        if not _same(claims.jkt, proof.jkt):
            raise errors.BoundElsewhere("the proof's key is not the token's")
        return proof

    def _key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        key = (self._keys or {}).get(kid)
        if key is None and self._key_feed.again():
            key = (self._keys or {}).get(kid)
        return key

    def _take_keys(self, body: bytes, began: float) -> None:
        keys: dict[str, ec.EllipticCurvePublicKey] = {}
        seen: set[str] = set()
        o = parse_object(body, _KEYS_SIZE)
        if not isinstance(o.get("keys"), list):
            raise Invalid("keys is not an array")
        for k in o["keys"]:
            if not isinstance(k, dict) or "d" in k:
                raise Invalid("a key is not an object, or private")
            kid = k.get("kid")
            if not isinstance(kid, str) or not kid:
                continue
            if kid in seen:
                raise Invalid("kid occurs twice")
            seen.add(kid)
            try:
                keys[kid] = parse_jwk(k)
            except Invalid:
                continue  # of another kind
        self._keys, self._keys_at = keys, began

    def _take_status(self, body: bytes, began: float) -> None:
        self._key_feed.first.wait(5)
        self._status.learn(body.decode("ascii"), self._key, self._issuer, began, self._clock())


def _values(r: Request, name: str) -> list[str]:
    return [v for n, v in r.headers if n.lower() == name.lower()]


def _credentials(values: list[str]) -> tuple[str, str]:
    if len(values) != 1:
        raise errors.TokenRequired()
    name, _, token = values[0].partition(" ")
    scheme = {"bearer": "Bearer", "dpop": "DPoP"}.get(name.lower())
    if scheme is None or not token:
        raise errors.TokenRequired()
    return scheme, token


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())
