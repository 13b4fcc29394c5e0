"""Middleware, fetches and bounds."""

import asyncio
import http.server
import json
import threading
import time
import unittest

from mastio_verifier import KEY, ASGIMiddleware, Proxy, Verifier, WSGIMiddleware, answer, errors
from mastio_verifier._feed import Feed, fetch, secure
from mastio_verifier._jose import Invalid
from mastio_verifier._status import Status
from mastio_verifier._verifier import Memory
from test_vectors import FOLDER, Run, request


def good(name):
    """A run that has learnt a status, and a request that it accepts."""
    file = json.loads((FOLDER / name).read_text())
    case = next(c for c in file["cases"] if c["name"] == "good")
    run = Run(file, case)
    assert run.step(case["steps"][0]) == "ok"
    return run.verifier, request(case["steps"][1]["request"])


class Server:
    """Answers one thing, on loopback."""

    def __init__(self, status=200, body=b"{}", headers=(), pause=0.0):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for i in range(0, len(body), 64 << 10):
                        self.wfile.write(body[i : i + (64 << 10)])
                        time.sleep(pause)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_):
                pass

        server = self
        self.asked = []
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


class Middleware(unittest.TestCase):
    def wsgi(self, verifier, environ):
        seen = {}

        def app(environ, start_response):
            seen["subject"] = environ[KEY].claims.subject
            start_response("200 OK", [])
            return [b"ok"]

        def start_response(status, headers):
            seen["status"], seen["headers"] = status, dict(headers)

        seen["body"] = b"".join(WSGIMiddleware(app, verifier)(environ, start_response))
        return seen

    def environ(self, r):
        environ = {"REQUEST_METHOD": r.method, "SCRIPT_NAME": "", "PATH_INFO": r.path, "QUERY_STRING": "page=2",
                   "REMOTE_ADDR": "192.0.2.7", "peercert_der": r.certificate}
        return environ | {"HTTP_" + n.upper().replace("-", "_"): v for n, v in r.headers}

    def test_wsgi(self):
        verifier, r = good("proofs.json")
        self.assertEqual(self.wsgi(verifier, self.environ(r))["subject"], "acme::kyc")
        seen = self.wsgi(verifier, self.environ(r))
        self.assertEqual(seen["status"], "401 Unauthorized")
        self.assertEqual(json.loads(seen["body"])["code"], "dpop_proof_replayed")
        self.assertEqual(seen["headers"]["WWW-Authenticate"], 'DPoP algs="ES256", error="invalid_dpop_proof"')
        bare = self.environ(r) | {"HTTP_PEERCERT_DER": "x", "HTTP_SSL_CLIENT_CERT": "x"}
        del bare["peercert_der"]
        self.assertEqual(json.loads(self.wsgi(verifier, bare)["body"])["code"], "access_token_bound_elsewhere")

    def asgi(self, verifier, r):
        sent, seen = [], {}

        async def app(scope, receive, send):
            seen["subject"] = scope[KEY].claims.subject

        async def send(message):
            sent.append(message)

        import ssl
        pem = ssl.DER_cert_to_PEM_cert(r.certificate)
        scope = {"type": "http", "method": r.method, "path": r.path, "raw_path": r.path.encode(), "client": ("192.0.2.7", 1),
                 "headers": [(n.lower().encode(), v.encode()) for n, v in r.headers],
                 "extensions": {"tls": {"client_cert_chain": [pem]}}}
        asyncio.run(ASGIMiddleware(app, verifier)(scope, None, send))
        return seen, sent

    def test_asgi(self):
        verifier, r = good("proofs.json")
        self.assertEqual(self.asgi(verifier, r), ({"subject": "acme::kyc"}, []))
        seen, sent = self.asgi(verifier, r)
        self.assertEqual((seen, sent[0]["status"]), ({}, 401))
        self.assertEqual(json.loads(sent[1]["body"])["code"], "dpop_proof_replayed")

    def test_asgi_refuses_other_scopes(self):
        verifier, _ = good("tokens.json")
        with self.assertRaises(RuntimeError):
            asyncio.run(ASGIMiddleware(None, verifier)({"type": "websocket"}, None, None))

    def test_answer_of_another_error_hides_it(self):
        status, headers, body = answer(OSError("10.0.0.1"))
        self.assertEqual((status, dict(headers)["Retry-After"]), (503, "1"))
        self.assertNotIn(b"10.0.0.1", body)


class Fetches(unittest.TestCase):
    def test_refused(self):
        for name, server in {
            "error": Server(status=500),
            "redirect": Server(status=302, headers=[("Location", "http://127.0.0.1:1/")]),
            "too long": Server(body=b"x" * 2000),
        }.items():
            with self.subTest(name), server, self.assertRaises(OSError):
                fetch(server.url + "/", "x", 1000, 5, None)

    def test_slow(self):
        with Server(body=b"x" * (1 << 20), pause=0.3) as server, self.assertRaises(OSError):
            fetch(server.url + "/", "x", 1 << 20, 0.5, None)

    def test_only_https_or_this_machine(self):
        for url in "https://a.example", "http://localhost:1", "http://127.0.0.1", "http://[::1]:9":
            self.assertTrue(secure(url), url)
        for url in "http://a.example", "ftp://localhost", "https://u@a.example", "https://a.example?x", "https:///x", "":
            self.assertFalse(secure(url), url)
        with self.assertRaises(ValueError) as e:
            Verifier("http://a.example", "", max_stale=1)
        for name in "issuer", "audience", "max_stale":
            self.assertIn(name, str(e.exception))

    def test_close_ends_the_threads(self):
        with Server(status=500) as server:
            before = threading.active_count()
            with Verifier(server.url, server.url) as v:
                self.assertFalse(v.wait(0.05))
            self.assertLessEqual(threading.active_count(), before + len(server.asked))
            self.assertFalse(any(t.name.startswith("mastio-") for t in threading.enumerate()))

    def test_unknown_keys_are_asked_for_rarely(self):
        got = []
        feed = Feed("x", lambda: got.append(1) or b"", lambda body, began: None, 1000, 1000, 5)
        feed.start()
        feed.first.wait(5)
        self.assertTrue(feed.again())
        self.assertFalse(feed.again())
        feed.close()
        self.assertEqual(len(got), 2)


class Behind(unittest.TestCase):
    """A token of an Org CA that the status does not name yet is accepted as soon as the status does."""

    def test_behind(self):
        file = json.loads((FOLDER / "status.json").read_text())
        name = "of a generation that is newer than the status"
        old, _, _, _, new, ask = next(c for c in file["cases"] if c["name"] == name)["steps"]
        run = Run(file, {})
        self.assertEqual(run.step(old), "ok")
        answers, asked = [old["status"], new["status"]], []

        def get():
            asked.append(time.monotonic())
            return answers[min(len(asked), 3) // 3].encode()  # the first two come out of a cache

        feed = Feed("status", get, run.verifier._take_status, 1000, 1000, 5, 0.1)
        run.verifier._status_feed = feed
        run.at = new["at"]
        feed.start()
        feed.first.wait(5)
        got = []
        threads = [threading.Thread(target=lambda: got.append(run.verifier.verify(request(ask["request"])))) for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        feed.close()
        self.assertEqual((len(got), len(asked)), (20, 3))
        self.assertGreaterEqual(min(b - a for a, b in zip(asked, asked[1:])), 0.1)


class Bounds(unittest.TestCase):
    def test_memory(self):
        m = Memory(most=2)
        for jti, at, want in (
            ("a", 0, None), ("a", 0, errors.ProofReplayed), ("b", 0, None), ("c", 0, errors.ProofsTooMany),
            ("a", 72, errors.ProofReplayed), ("a", -3600, errors.ProofReplayed), ("c", 72, None), ("a", 144, None),
        ):
            with self.subTest(jti=jti, at=at):
                if want is None:
                    m.use("key", jti, 60, at, at)
                else:
                    self.assertRaises(want, m.use, "key", jti, 60, at, at)

    def test_status_too_long(self):
        with self.assertRaises(errors.StatusRefused):
            Status().learn("x" * (513 << 10), lambda kid: None, "x", 0, 0)

    def test_jwks(self):
        v, _ = good("tokens.json")
        for text in b"", b"[]", b'{"keys":{}}', b'{"keys":[{"kid":"a","d":"x"}]}', b'{"keys":[{"kid":"a"},{"kid":"a"}]}':
            with self.subTest(text), self.assertRaises(Invalid):
                v._take_keys(text, 0)

    def test_proxy_is_checked(self):
        for networks, header, form in ([], "x", "client-cert"), (["10.0.0.0/8"], "", "client-cert"), (["10.0.0.0/8"], "x", "pem"):
            with self.assertRaises(ValueError):
                Proxy(networks, header, form)


if __name__ == "__main__":
    unittest.main()
