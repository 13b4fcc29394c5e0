"""Flow 6: the first call of a client that never logged in, and a call with a token that no longer holds."""
from flow import AGENT, CA, FOLDER, TIMEOUT, URL, calls, me, token, watch
from cullis_sdk import CullisClient

agent = watch(CullisClient.from_identity_dir(
    URL, cert_path=FOLDER / "cert.pem", key_path=FOLDER / "agent-key.pem", dpop_key_path=FOLDER / "dpop.jwk",
    ca_chain_path=CA, timeout=TIMEOUT))
me(agent)
token(agent)
calls(agent)
me(agent)
calls(agent)
first, agent.token = agent.token, agent.token[:-8] + "AAAAAAAA"
me(agent)
calls(agent)
assert agent.token not in (first, None)
