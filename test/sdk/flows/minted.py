"""Flow 4: the files that the guide saves, before and after rotate-cert."""
from flow import AGENT, CA, FOLDER, TIMEOUT, URL, ask, calls, me, refused, token, watch
from cullis_sdk import CullisClient


def start():
    return watch(CullisClient.from_identity_dir(
        URL, cert_path=FOLDER / "cert.pem", key_path=FOLDER / "agent-key.pem", dpop_key_path=FOLDER / "dpop.jwk",
        ca_chain_path=CA, timeout=TIMEOUT))


running = start()
running.login_via_proxy()
token(running)
me(running)
calls(running)
ask("rotate the certificate")
refused(running.login_via_proxy, "Certificate has been revoked")
refused(running.login_via_proxy_with_local_key, "Certificate has been revoked")
next_start = start()
next_start.login_via_proxy()
token(next_start)
me(next_start)
