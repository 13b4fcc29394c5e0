"""The token's end, and a nonce that has expired: the clock moves, here and there."""
import datetime

import time_machine

from flow import AGENT, CA, FOLDER, TIMEOUT, URL, ask, calls, given, me, token, watch
from cullis_sdk import CullisClient

with time_machine.travel(datetime.datetime.fromtimestamp(given["now"], datetime.timezone.utc), tick=False) as clock:
    agent = watch(CullisClient.from_identity_dir(
        URL, cert_path=FOLDER / "cert.pem", key_path=FOLDER / "agent-key.pem", dpop_key_path=FOLDER / "dpop.jwk",
        ca_chain_path=CA, timeout=TIMEOUT))
    agent.login_via_proxy_with_local_key()
    token(agent)
    me(agent)
    calls(agent)

    ask("move the clock by ten minutes")
    clock.shift(600)
    me(agent)  # the token has ended, and so has the nonce
    calls(agent)

    ask("move the clock by ten minutes")
    clock.shift(600)
    agent.login_via_proxy()
    token(agent)
    calls(agent)
    me(agent)
