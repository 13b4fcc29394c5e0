"""Flow 5: the Connector's layout, and our ca_chain_pem next to cert.pem."""
from flow import AGENT, CA, FOLDER, TIMEOUT, URL, ask, calls, me, refused, say, token, watch
from cullis_sdk import CullisClient

agent = watch(CullisClient.from_connector(FOLDER, timeout=TIMEOUT))
agent.login_via_proxy_with_local_key()
token(agent)
me(agent)
calls(agent)

chained = FOLDER / "chained"
agent = watch(CullisClient.from_identity_dir(
    URL, cert_path=chained / "cert.pem", key_path=chained / "agent-key.pem", ca_chain_path=CA, timeout=TIMEOUT))
say("certificates in x5c:", agent._cert_pem.count("BEGIN CERTIFICATE"))
agent.login_via_proxy_with_local_key()
token(agent)
me(agent)
agent.login_via_proxy()
token(agent)
ask("rotate the certificate")
refused(agent.login_via_proxy_with_local_key, "Certificate has been revoked")
agent = watch(CullisClient.from_connector(FOLDER, timeout=TIMEOUT))
agent.login_via_proxy_with_local_key()
token(agent)
