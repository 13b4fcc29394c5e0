"""What the flows share: what the test hands over, and how a flow talks to the test."""
import base64
import json
import os
import sys
from pathlib import Path

given = json.loads(os.environ["FLOW"])
URL, SECRET, AGENT = given["url"], given["secret"], given["agent_id"]
FOLDER = Path(given["folder"])
CA = FOLDER / "server-ca.pem"
TIMEOUT = 60.0  # seconds; an emulated cloud can be slow


def say(*words):
    """Prints a line that the test compares."""
    print(*words, flush=True)


def ask(what):
    """Has the test do something, and waits until it is done."""
    print("?" + what, flush=True)
    if sys.stdin.readline().strip() != "done":
        sys.exit(f"the test did not {what}")


def refused(call, words):
    """The call is refused with these words, which the SDK shows."""
    try:
        call()
    except PermissionError as refusal:
        if words not in str(refusal):
            raise
        say("refused:", words)
        return
    sys.exit(f"not refused, want {words!r}")


def read(name):
    return (FOLDER / name).read_text()


def watch(client):
    """Notes every request of a client, for calls. The SDK itself is left as it is."""
    client.noted = []
    client._http.event_hooks["request"].append(lambda r: client.noted.append(f"{r.method} {r.url.path}"))
    return client


def calls(client):
    """Says which requests the client made since the last time."""
    say("calls:", ", ".join(client.noted))
    client.noted.clear()


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def token(client):
    """Says what the client's token is."""
    c = claims(client.token)
    say("token:", c["sub"], c.get("scope", "-"), "DPoP" if "jkt" in c["cnf"] else "Bearer")


def me(client):
    """One call with the client's token, by the SDK's own authenticated request."""
    answer = client._authed_request("GET", "/v1/agent/me")
    if answer.status_code != 200:
        sys.exit(f"{answer.status_code} {answer.text}")
    body = answer.json()
    say("me:", body["agent_id"], " ".join(body["capabilities"]) or "-")
