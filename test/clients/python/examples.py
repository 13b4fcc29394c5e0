"""Every answer that the document shows, read by the generated Python client: it must come out as it went in."""

import importlib
import json
import pathlib
import re
import sys

import httpx
from mastio_client import Client

document = json.loads(pathlib.Path(sys.argv[1]).read_text())
client = Client("https://mastio.example.com", raise_on_unexpected_status=True)
read = 0


def plain(value: object) -> object:
    """What a parsed answer holds, as the JSON it came from."""
    if hasattr(value, "payload"):
        return value.payload.read().decode()
    return value.to_dict() if hasattr(value, "to_dict") else value


for path, methods in document["paths"].items():
    for method, operation in methods.items():
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", operation["operationId"])
        tag = operation["tags"][0].replace("-", "_")
        module = importlib.import_module(f"mastio_client.api.{tag}.{words.lower()}")
        for status, answer in operation["responses"].items():
            content = answer.get("content") or {"": {}}
            for media, described in content.items():
                example = described.get("example", "" if media else None)
                text = isinstance(example, str)
                response = httpx.Response(
                    int(status),
                    headers={"Content-Type": media},
                    content=(example if text else json.dumps(example)).encode() if example is not None else b"",
                )
                got = plain(module._parse_response(client=client, response=response))
                if json.loads(json.dumps(got).replace('+00:00"', 'Z"')) != example:
                    sys.exit(f"{operation['operationId']} {status} {media}: {example!r} was read as {got!r}")
                read += 1
print("answers read:", read)
