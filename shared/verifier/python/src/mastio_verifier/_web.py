"""Middleware for WSGI and ASGI."""

from __future__ import annotations

import asyncio
import http
import json
import ssl
from typing import Any, Awaitable, Callable, Iterable

from . import errors
from ._verifier import Request, Verifier

KEY = "mastio.verified"
"""Where the application finds the Verified: in the environ of WSGI, in the scope of ASGI."""


def answer(e: Exception) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of the answer to an error: a problem document (RFC 9457) with its code."""
    known = e if isinstance(e, errors.VerifierError) else errors.VerifierError()
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if known.challenge:
        headers.append(("WWW-Authenticate", known.challenge))
    if known.status == 503:
        headers.append(("Retry-After", "1"))
    body = {
        "type": "about:blank", "title": http.HTTPStatus(known.status).phrase, "status": known.status,
        "code": known.code, "detail": known.detail,
    }
    return known.status, headers, json.dumps(body).encode() + b"\n"


def _der(pem_or_der: Any) -> bytes | None:
    if not pem_or_der:
        return None
    return ssl.PEM_cert_to_DER_cert(pem_or_der) if isinstance(pem_or_der, str) else bytes(pem_or_der)


class WSGIMiddleware:
    """Passes on what the verifier accepts, and answers the rest.

    certificate returns the client's certificate of a request, DER or PEM, as the server knows it; None: none. Behind
    a trusted proxy it is not needed. Default: the server's own variables peercert_der and SSL_CLIENT_CERT, which no
    client can set: those of headers begin with HTTP_.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], verifier: Verifier,
        certificate: Callable[[dict[str, Any]], bytes | str | None] | None = None,
    ) -> None:
        self._app, self._verifier = app, verifier
        self._certificate = certificate or (lambda env: env.get("peercert_der") or env.get("SSL_CLIENT_CERT"))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            environ[KEY] = self._verifier.verify(self._request(environ))
        except Exception as e:  # in doubt it is refused
            status, headers, body = answer(e)
            start_response(f"{status} {http.HTTPStatus(status).phrase}", headers)
            return [body]
        return self._app(environ, start_response)

    def _request(self, environ: dict[str, Any]) -> Request:
        headers = [
            (name[5:].replace("_", "-"), value) for name, value in environ.items()
            if name.startswith("HTTP_") and isinstance(value, str)
        ]
        return Request(
            environ["REQUEST_METHOD"], _path(environ), headers, _der(self._certificate(environ)),
            environ.get("REMOTE_ADDR", ""),
        )


def _path(environ: dict[str, Any]) -> str:
    from urllib.parse import quote

    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if isinstance(raw, str) and raw.startswith("/"):
        return raw.partition("?")[0]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~")


class ASGIMiddleware:
    """Passes on what the verifier accepts, and answers the rest; scopes that are not HTTP are refused.

    certificate returns the client's certificate of a scope, DER or PEM; None: none. Default: the TLS extension of
    ASGI (client_cert_chain).
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], verifier: Verifier,
        certificate: Callable[[dict[str, Any]], bytes | str | None] | None = None,
    ) -> None:
        self._app, self._verifier = app, verifier
        self._certificate = certificate or _tls_extension

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"mastio_verifier: scope {scope['type']} is not verified")
        try:
            request = self._request(scope)
            # In a thread: a token of an unknown key waits for the keys.
            verified = await asyncio.to_thread(self._verifier.verify, request)
        except Exception as e:  # in doubt it is refused
            status, headers, body = answer(e)
            raw = [(n.lower().encode(), v.encode()) for n, v in headers]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app({**scope, KEY: verified}, receive, send)

    def _request(self, scope: dict[str, Any]) -> Request:
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]]
        raw = scope.get("raw_path") or scope["path"].encode()
        remote = (scope.get("client") or ("",))[0]
        return Request(scope["method"], raw.decode("latin-1"), headers, _der(self._certificate(scope)), remote)


def _tls_extension(scope: dict[str, Any]) -> str | None:
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain") or []
    return chain[0] if chain else None
