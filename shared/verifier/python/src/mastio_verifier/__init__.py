"""Verifies requests with access tokens of a Mastio at a resource server, and follows what the Mastio revokes."""

from . import errors
from ._proxy import CLIENT_CERT, ESCAPED_PEM, Proxy
from ._token import Claims
from ._verifier import Request, Verified, Verifier
from ._web import KEY, ASGIMiddleware, WSGIMiddleware, answer
from .errors import VerifierError

__all__ = [
    "CLIENT_CERT", "ESCAPED_PEM", "KEY", "ASGIMiddleware", "Claims", "Proxy", "Request", "Verified", "Verifier",
    "VerifierError", "WSGIMiddleware", "answer", "errors",
]
