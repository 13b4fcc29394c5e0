"""A resource server behind a proxy that ends TLS: uvicorn asgi:app --host 127.0.0.1 --no-proxy-headers

nginx in front of it:
    ssl_verify_client optional_no_ca;
    proxy_set_header Client-Cert $ssl_client_escaped_cert;   # replaces what a client sends
"""

import asyncio
import os
import ssl

from mastio_verifier import ESCAPED_PEM, KEY, ASGIMiddleware, Proxy, Verifier

verifier = Verifier(
    os.environ["MASTIO_ISSUER"], os.environ["AUDIENCE"], mastio=os.environ.get("MASTIO_URL", ""),
    proxy=Proxy(["127.0.0.1/32"], "Client-Cert", ESCAPED_PEM), max_stale=float(os.environ.get("MAX_STALE", "30")),
    tls=ssl.create_default_context(cafile=os.environ.get("MASTIO_CA")),  # for the Mastio's host
)


async def resource(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()  # lifespan.startup
        verifier.start()
        await asyncio.to_thread(verifier.wait, 10)
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        await asyncio.to_thread(verifier.close)
        await send({"type": "lifespan.shutdown.complete"})
        return
    text = f"hello {scope[KEY].claims.subject}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


app = ASGIMiddleware(resource, verifier)
