"""The vectors that every implementation runs."""

import base64
import json
import pathlib
import unittest

from mastio_verifier import Proxy, Request, Verifier, VerifierError

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "testdata" / "vectors"


class Run:
    """A verifier without fetches, whose clock the steps set."""

    def __init__(self, file, case):
        self.file, self.at = file, 0
        proxy = Proxy(**case["proxy"]) if "proxy" in case else None
        self.verifier = Verifier(
            file["issuer"], file["audience"], url=file["url"], max_stale=case.get("max_stale", file["max_stale"]), proxy=proxy,
            clock=lambda: file["now"] + self.at, monotonic=lambda: 1000.0 + self.at,
        )
        self.verifier._key_feed._closed = self.verifier._status_feed._closed = True  # they fetch nothing
        self.verifier._key_feed.first.set()

    def step(self, step):
        self.at = step["at"]
        self.verifier._take_keys(json.dumps(self.file["jwks"]).encode(), 1000.0 + self.at)
        try:
            if "status" in step:
                self.verifier._take_status(step["status"].encode(), 1000.0 + self.at)
            else:
                self.verifier.verify(request(step["request"]))
        except VerifierError as e:
            return e.code
        return "ok"


def request(q):
    certificate = base64.b64decode(q["certificate"]) if "certificate" in q else None
    address = q["remote"].rpartition(":")[0].strip("[]")
    return Request(q["method"], q["path"], [tuple(h) for h in q["headers"] or []], certificate, address)


class Vectors(unittest.TestCase):
    def test_vectors(self):
        cases = steps = 0
        for path in sorted(FOLDER.glob("*.json")):
            file = json.loads(path.read_text())
            for case in file["cases"]:
                run = Run(file, case)
                for i, step in enumerate(case["steps"]):
                    with self.subTest(file=path.name, case=case["name"], step=i):
                        self.assertEqual(run.step(step), step["want"])
                    steps += 1
                cases += 1
        print(f"{cases} cases, {steps} steps")
        self.assertGreater(cases, 150)


if __name__ == "__main__":
    unittest.main()
