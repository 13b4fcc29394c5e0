"""Flow 3: an SVID, under a bundle or under the Org CA; first time, and again after its CA has moved."""
from flow import AGENT, CA, FOLDER, SECRET, TIMEOUT, URL, ask, calls, given, me, read, refused, say, token, watch
from cullis_sdk import CullisClient

HOME = FOLDER / "identity"


def enrol():
    bundle = {"trust_bundle_pem": read("bundle.pem")} if given["bundle"] else {}
    return watch(CullisClient.enroll_via_spiffe(
        URL, admin_secret=SECRET, agent_name=AGENT.split("::")[1], svid_pem=read("svid.pem"), svid_key_pem=read("svid-key.pem"),
        persist_to=HOME, ca_chain_path=CA, timeout=TIMEOUT, **bundle))


def start(cert, key):
    return watch(CullisClient.from_identity_dir(
        URL, cert_path=cert, key_path=key, agent_id=AGENT, ca_chain_path=CA, timeout=TIMEOUT))


client = enrol()
say("enrolled:", client._proxy_agent_id, *sorted(p.name for p in HOME.iterdir()))
ask("tell the edge of the bundle")
client.login_via_proxy()
token(client)
agent = start(HOME / "cert.pem", HOME / "key.pem")
agent.login_via_proxy_with_local_key()
token(agent)
me(agent)

ask("rotate our Org CA")
if given["bundle"]:
    agent.login_via_proxy_with_local_key()  # the bundle is SPIRE's own: nothing has changed
    token(agent)
else:
    refused(agent.login_via_proxy_with_local_key, "Certificate has been revoked")

ask("rotate the CA of SPIRE")
client = enrol()
ask("tell the edge of the bundle")
client.login_via_proxy()
agent = start(HOME / "cert.pem", HOME / "key.pem")
agent.login_via_proxy_with_local_key()
token(agent)
me(agent)
calls(agent)

ask("issue the next SVID under a new intermediate")
agent = start(FOLDER / "svid.pem", FOLDER / "svid-key.pem")
agent.login_via_proxy_with_local_key()  # its x5c carries the intermediate that the enrolment does not know
token(agent)
