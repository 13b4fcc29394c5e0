"""Flow 4 with agent-sync: the files come out of the agent's secret, before and after two rotations of the Org CA."""
from pathlib import Path

from flow import CA, FOLDER, TIMEOUT, URL, ask, calls, given, me, refused, token, watch
from cullis_sdk import CullisClient

REVOKED = "Certificate has been revoked"


def start(files: Path):
    return watch(CullisClient.from_identity_dir(
        URL, cert_path=files / "cert.pem", key_path=files / "key.pem", ca_chain_path=CA, timeout=TIMEOUT))


def login(client):
    client.login_via_proxy()
    token(client)


running = start(FOLDER / "identity")
login(running)
me(running)
calls(running)
for _ in range(2):
    ask("rotate the Org CA and deliver")
    # An overlap carries the old certificate until the new one is used.
    if given["overlap"]:
        login(running)
    else:
        refused(running.login_via_proxy, REVOKED)
    next_start = start((FOLDER / "identity" / "current").resolve())
    login(next_start)
    me(next_start)
    refused(running.login_via_proxy, REVOKED)
    running = start(FOLDER / "identity")  # the plain names lead to the same files
    login(running)
