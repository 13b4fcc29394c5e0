"""A resource server with an OAuth library's own client (Authlib, RFC 7662): it finds the endpoint, and asks twice."""
import ssl

from flow import AGENT, CA, FOLDER, TIMEOUT, URL, ask, read, say
from authlib.integrations.httpx_client import OAuth2Client


def client(agent, prefix):
    tls = ssl.create_default_context(cafile=CA)
    tls.load_cert_chain(FOLDER / (prefix + "cert.pem"), FOLDER / (prefix + "agent-key.pem"))
    return OAuth2Client(client_id=agent, token_endpoint_auth_method="none", verify=tls, timeout=TIMEOUT)


server, agent = client(AGENT, "server/"), client(read("holder"), "")
metadata = server.request("GET", URL + "/.well-known/oauth-authorization-server", withhold_token=True).json()
assert "tls_client_auth" in metadata["introspection_endpoint_auth_methods_supported"]
token = agent.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")["access_token"]


def introspect():
    answer = server.introspect_token(metadata["introspection_endpoint"], token=token, token_type_hint="access_token")
    answer.raise_for_status()
    body = answer.json()
    say("active:", body["sub"], body["scope"], body["token_type"]) if body["active"] else say("inactive:", *body)


introspect()
(FOLDER / "token").write_text(token)
ask("rotate the certificate")
introspect()
