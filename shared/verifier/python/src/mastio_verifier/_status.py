"""The status document: what died lately, and what a server has learnt of it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from . import errors
from ._jose import Invalid, Object, date_of, int_of, parse, text_of
from ._token import Claims, Keys

PATH = "/.well-known/mastio-status"
TYPE = "mastio-status+jwt"
SIZE = 512 << 10  # octets
ENTRIES = 2000
GENERATIONS = 64
MAX_TOKEN_LIFE = 3600  # seconds
SKEW = 5  # seconds
MAX_DEAD = 8 * ENTRIES
COMMIT_ROOM = 2  # seconds: how much later than a document's date what it says may have been committed
# How much earlier a token's date may be than that of a document that was composed before it: two clocks, each a second
# off, and whole seconds.
CLOCKS_APART = 3
BEHIND_APART = 1.0  # seconds between two fetches while a document is older than a token
BEHIND_WAIT = 4.0  # seconds that a request waits for them

Name = tuple[str, str]  # kind and value of an entry's name


@dataclass(frozen=True)
class Document:
    """A status document. Dates are whole seconds since 1970."""

    issuer: str
    issued_at: int
    seq: int
    max_age: int
    generations: list[int]
    not_before: int
    dead: list[tuple[Name, int]] = field(repr=False)

    def content(self) -> str:
        """Everything but issued_at and seq, in one order."""
        return json.dumps(
            [self.issuer, self.max_age, sorted(self.generations), self.not_before, sorted(self.dead)]
        )


def read(compact: str, keys: Keys) -> Document:
    """The document that one of the Mastio's keys signed, or StatusRefused."""
    try:
        msg = parse(compact, SIZE)
        if text_of(msg.header, "typ") != TYPE:
            raise Invalid(f"typ is not {TYPE}")
        kid = text_of(msg.header, "kid")
        key = keys(kid) if kid else None
        if key is None:
            raise Invalid("kid is missing or unknown")
        return _document(msg.claims(key))
    except Invalid as e:
        raise errors.StatusRefused(str(e)) from None


def _document(o: Object) -> Document:
    issuer, seq, max_age = text_of(o, "iss"), int_of(o, "seq"), int_of(o, "max_age")
    issued_at, not_before = int(date_of(o, "iat") or 0), int(date_of(o, "not_before") or 0)
    if not issuer or issued_at <= 0 or seq <= 0 or not 1 <= max_age <= MAX_TOKEN_LIFE:
        raise Invalid("iss, iat, seq or max_age is missing or out of range")
    generations, dead = o.get("generations"), o.get("dead")
    if not isinstance(generations, list) or len(generations) > GENERATIONS:
        raise Invalid("generations is not an array of integers")
    if not isinstance(dead, list) or len(dead) > ENTRIES:
        raise Invalid(f"dead is not an array of at most {ENTRIES} objects")
    return Document(
        issuer, issued_at, seq, max_age, [int_of({"generation": g}, "generation") for g in generations], not_before,
        [_entry(e) for e in dead],
    )


def _entry(e: Any) -> tuple[Name, int]:
    if not isinstance(e, dict):
        raise Invalid("an entry is not an object")
    x5t, handle, until = text_of(e, "x5t#S256"), text_of(e, "handle"), int(date_of(e, "not_before") or 0)
    if bool(x5t) == bool(handle) or until <= 0:
        raise Invalid("an entry has not exactly one name and a date")
    return (("x5t#S256", x5t) if x5t else ("handle", handle)), until


class Status:
    """The newest document, and what any document called dead, until no token of it can be valid. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Document | None = None
        self._content = ""
        self._began = 0.0
        self._not_before = 0
        self._dead: dict[Name, int] = {}

    def learn(self, compact: str, keys: Keys, issuer: str, began: float, now: float) -> None:
        """Takes a document. began is the monotonic clock when the request for it was sent, now the wall clock.

        What a document calls dead is dead even where it is refused as an older one: the Mastio signed it.
        """
        d = read(compact, keys)
        if d.issuer != issuer:
            raise errors.StatusOfAnotherIssuer()
        if d.issued_at > now + SKEW:
            raise errors.StatusAhead()
        content = d.content()
        with self._lock:
            self._bury(d, now)
            n = self._newest
            if n is not None:
                if d.seq < n.seq:
                    raise errors.StatusRolledBack(f"seq {d.seq} after {n.seq}")
                if d.seq == n.seq and content != self._content:
                    raise errors.StatusForked(f"seq {d.seq}")
                if d.issued_at < n.issued_at:
                    raise errors.StatusOlder()
            self._newest, self._content, self._began = d, content, began

    def _bury(self, d: Document, now: float) -> None:
        self._not_before = max(self._not_before, d.not_before)
        dead = dict(self._dead)
        for name, until in d.dead:
            dead[name] = max(until, dead.get(name, 0))
        dead = {
            name: until for name, until in dead.items()
            if now <= until + MAX_TOKEN_LIFE + SKEW and until > self._not_before
        }
        if len(dead) > MAX_DEAD:  # dead is all that was issued before: an entry's own date may lie far ahead
            self._not_before = max(self._not_before, d.issued_at + COMMIT_ROOM)
            dead = {}
        self._dead = dead

    def live(self, c: Claims, max_stale: float, monotonic: float, now: float) -> None:
        """Raises StatusStale or TokenRevoked unless the token is alive, StatusBehind where a newer document has to say it."""
        with self._lock:
            n, began, not_before, dead = self._newest, self._began, self._not_before, self._dead
        if n is None:
            raise errors.StatusStale("none was fetched yet")
        # Clocks may differ by a second. A clock that is behind must not make the document live longer.
        limit = min(max_stale, n.max_age) - 1
        if now - n.issued_at > limit or monotonic - began > limit:
            raise errors.StatusStale(f"it is {max(now - n.issued_at, monotonic - began):.0f} s old")
        if c.issued_at < not_before:
            raise errors.TokenRevoked(f"it was issued before {not_before}")
        for name in (("x5t#S256", c.x5t), ("handle", c.handle)):
            if c.issued_at < dead.get(name, 0):
                raise errors.TokenRevoked("its certificate or its agent was")
        if c.generation == 0 or c.generation in n.generations:
            return
        # The document knows nothing of a generation above all that it accepts, of a token that may have been issued after
        # it: numbers rise. A lower one it has accepted, and does not any more; only a token that is certainly newer than
        # the document shows that a rollback has brought the generation back.
        later = CLOCKS_APART if c.generation > max(n.generations, default=0) else -1
        if c.issued_at + later < n.issued_at:
            raise errors.TokenRevoked("its generation is not accepted")
        raise errors.StatusBehind(f"it is of generation {c.generation}")
