"""Flows 1 and 2: enrolment under an uploaded Org CA, and "After": the Org CA is rotated, the pipeline enrols again."""
import shutil

from flow import AGENT, CA, FOLDER, SECRET, TIMEOUT, URL, ask, calls, given, me, read, refused, say, token, watch
from cullis_sdk import CullisClient

HOME = FOLDER / "identity"


def enrol(**more):
    return watch(CullisClient.enroll_via_byoca(
        URL, admin_secret=SECRET, agent_name=AGENT.split("::")[1], cert_pem=read("pipeline-cert.pem"),
        private_key_pem=read("pipeline-key.pem"), persist_to=HOME, enable_dpop=given["dpop"], ca_chain_path=CA, timeout=TIMEOUT, **more))


def start(home=HOME):
    return watch(CullisClient.from_identity_dir(
        URL, cert_path=home / "cert.pem", key_path=home / "key.pem", agent_id=AGENT, ca_chain_path=CA, timeout=TIMEOUT))


client = enrol(capabilities=["kyc:read"], display_name="KYC")
say("enrolled:", client._proxy_agent_id, *sorted(p.name for p in HOME.iterdir()))
client.login_via_proxy()
token(client)
calls(client)
agent = start()
agent.login_via_proxy()
token(agent)
me(agent)
calls(agent)

ask("rotate the Org CA and issue again")
shutil.copytree(HOME, FOLDER / "old")
old = start(FOLDER / "old")
if given["overlap"]:
    old.login_via_proxy()
    token(old)
else:
    refused(old.login_via_proxy, "Certificate has been revoked")
client = enrol()
client.login_via_proxy()
token(client)
me(client)
refused(old.login_via_proxy, "Certificate has been revoked")
refused(old.login_via_proxy_with_local_key, "Certificate has been revoked")
enrol().login_via_proxy()  # the same certificate once more, as after a lost answer
agent = start()
agent.login_via_proxy_with_local_key()
token(agent)
calls(agent)
