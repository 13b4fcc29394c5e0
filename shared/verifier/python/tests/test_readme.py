"""The README's example runs."""

import pathlib
import unittest
from unittest import mock

from mastio_verifier import Verifier, WSGIMiddleware

README = pathlib.Path(__file__).parent.parent / "README.md"


class Readme(unittest.TestCase):
    def test_example(self):
        code = README.read_text().split("```python\n")[1].split("```")[0]
        names = {}
        with mock.patch.object(Verifier, "start", lambda self: self):  # nothing is fetched
            exec(compile(code, str(README), "exec"), names)
        self.assertIsInstance(names["application"], WSGIMiddleware)
        status = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REQUEST_URI": "/", "SERVER_NAME": "api.example",
                   "SERVER_PORT": "443", "wsgi.url_scheme": "https", "HTTP_HOST": "api.example"}
        list(names["application"](environ, lambda code, headers: status.append(code[:3])))
        self.assertEqual(status, ["503"])  # no status was fetched: it refuses


if __name__ == "__main__":
    unittest.main()
