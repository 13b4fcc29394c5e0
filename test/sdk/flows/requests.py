"""Requests as a resource server sees them, for the page's check of tokens: one JSON document a line."""
import json

from flow import AGENT, CA, FOLDER, TIMEOUT, URL, read, say
from cullis_sdk import CullisClient

agent = CullisClient.from_identity_dir(
    URL, cert_path=FOLDER / "cert.pem", key_path=FOLDER / "agent-key.pem", ca_chain_path=CA, timeout=TIMEOUT)
agent.login_via_proxy()


def request(**other):
    headers = agent._headers("GET", "/v1/agent/me")
    return {"authorization": headers["Authorization"], "dpop": headers["DPoP"], "method": "GET", "url": URL + "/v1/agent/me",
            "certificate_pem": read("cert.pem")} | other


good = request()
for r in (
    good, good, request(certificate_pem=None), request(certificate_pem=read("other-cert.pem")), request(method="POST"),
    request(url=URL + "/other"), request(authorization="Bearer " + agent.token), request(authorization="DPoP " + agent.token[:-4] + "AAAA"),
    request(authorization="DPoP " + good["dpop"]), request(dpop=good["dpop"][:-4] + "AAAA"), request(dpop=""),
):
    say(json.dumps(r))
