"""A resource server of the standard library: python wsgi.py, with the settings below in the environment."""

import os
import ssl
from wsgiref.simple_server import WSGIRequestHandler, make_server

from mastio_verifier import KEY, Verifier, WSGIMiddleware


def app(environ, start_response):
    claims = environ[KEY].claims
    if "kyc:read" not in claims.capabilities:
        start_response("403 Forbidden", [("WWW-Authenticate", 'DPoP error="insufficient_scope"')])
        return [b"kyc:read is required\n"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"hello {claims.subject}\n".encode()]


class Handler(WSGIRequestHandler):
    def get_environ(self):
        return super().get_environ() | {"peercert_der": self.connection.getpeercert(True)}


def main() -> None:
    mastio = ssl.create_default_context(cafile=os.environ.get("MASTIO_CA"))  # for the Mastio's host
    with Verifier(
        os.environ["MASTIO_ISSUER"], os.environ["AUDIENCE"], mastio=os.environ.get("MASTIO_URL", ""), tls=mastio,
        max_stale=float(os.environ.get("MAX_STALE", "30")),
    ) as verifier:
        verifier.wait(10)
        server = make_server("localhost", int(os.environ.get("PORT", "8443")), WSGIMiddleware(app, verifier),
                             handler_class=Handler)
        # GET /pki/ca.crt. Python asks for no certificate that it does not verify: after a rotation of the Org CA start anew
        # with the new file, or let a proxy end TLS (asgi.py).
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=os.environ["AGENTS_CA"])
        tls.verify_mode = ssl.CERT_OPTIONAL
        tls.load_cert_chain(os.environ["SERVER_CERT"], os.environ["SERVER_KEY"])
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        print(f"https://localhost:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
