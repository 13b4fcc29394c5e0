"""Documents of the Mastio, fetched again and again in the background."""

from __future__ import annotations

import http.client
import logging
import random
import socket
import ssl
import threading
import time
from typing import Callable
from urllib.parse import urlsplit

RARE = 10.0  # seconds between two fetches that are asked for before their time

log = logging.getLogger("mastio_verifier")


def secure(url: str) -> bool:
    """Whether a URL is one of https, or of http to this very machine."""
    u = urlsplit(url)
    if not u.hostname or u.username is not None or u.query or u.fragment or "?" in url:
        return False
    local = u.hostname in ("localhost", "::1") or u.hostname.startswith("127.")
    return u.scheme == "https" or u.scheme == "http" and local


def fetch(url: str, accept: str, limit: int, timeout: float, tls: ssl.SSLContext | None) -> bytes:
    """One GET. Redirects, other answers than 200 and longer bodies are errors, and so is what takes longer."""
    u, end = urlsplit(url), time.monotonic() + timeout
    connection: http.client.HTTPConnection
    if u.scheme == "https":
        connection = http.client.HTTPSConnection(u.netloc, timeout=timeout, context=tls or ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(u.netloc, timeout=timeout)
    timer = threading.Timer(timeout, _abort, [connection])  # the time limit of a socket is one for each read
    timer.start()
    try:
        connection.request("GET", u.path, headers={"Accept": accept, "Connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
        body = b""
        while chunk := answer.read1(64 << 10):
            body += chunk
            if len(body) > limit:
                raise OSError(f"longer than {limit} bytes")
        if time.monotonic() > end:
            raise TimeoutError("the answer takes too long")
        return body
    finally:
        timer.cancel()
        connection.close()


def _abort(connection: http.client.HTTPConnection) -> None:
    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed


class Feed:
    """One document: get returns it, take learns it."""

    def __init__(
        self, name: str, get: Callable[[], bytes], take: Callable[[bytes, float], None], every: float, most: float,
        timeout: float, apart: float = 0,
    ) -> None:
        self._apart = apart  # seconds between two fetches, where one is asked for before its time
        self._name, self._get, self._take = name, get, take
        self._every, self._most, self._timeout = every, most, timeout
        self._condition = threading.Condition()
        self._asked = float("-inf")
        self._kicked = self._closed = False
        self._begun = self._done = 0  # fetches
        self.first = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mastio-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the fetches; one that is under way ends by its own time limit."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def again(self) -> bool:
        """Has the document fetched now, and says whether that fetch has ended. At most once in ten seconds."""
        with self._condition:
            now = time.monotonic()
            if now - self._asked < RARE or self._closed:
                return False
            self._asked = now
            return self._ask(self._timeout)

    def soon(self, timeout: float) -> bool:
        """Has the document fetched as soon as apart allows, and says whether that fetch has ended. It begins after the
        call, and is one for all who ask meanwhile."""
        with self._condition:
            return self._ask(timeout)

    def _ask(self, timeout: float) -> bool:
        if self._closed:
            return False
        self._kicked = True
        self._condition.notify_all()
        wanted = self._begun + 1
        return self._condition.wait_for(lambda: self._done >= wanted or self._closed, timeout) and not self._closed

    def _run(self) -> None:
        failures, said = 0, ""
        while not self._closed:
            with self._condition:
                self._begun, self._kicked = self._begun + 1, False
            began = time.monotonic()
            try:
                self._take(self._get(), began)
                self.first.set()
                failures, said = 0, ""
            except Exception as e:  # whatever it is, it must not end the fetches
                failures += 1
                if str(e) != said:
                    said = str(e)
                    log.warning("fetch of %s failed: %s", self._name, said)
            pause = self._every if failures == 0 else min(self._most, 2.0 ** min(failures - 1, 16))
            with self._condition:
                self._done += 1
                self._condition.notify_all()
                if self._condition.wait_for(lambda: self._kicked or self._closed, pause * random.uniform(0.8, 1)):
                    self._condition.wait_for(lambda: self._closed, max(0, began + self._apart - time.monotonic()))
