"""The client's certificate in a header of a trusted proxy."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from typing import Sequence
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from . import errors

CLIENT_CERT = "client-cert"
"""RFC 9440: the DER in base64, between colons."""
ESCAPED_PEM = "escaped-pem"
"""PEM, percent-encoded: $ssl_client_escaped_cert of nginx, X-Amzn-Mtls-Clientcert-Leaf of AWS."""

_MAX_HEADER = 16 << 10
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\s*\Z")
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*\Z", re.DOTALL)


@dataclass(frozen=True)
class Proxy:
    """A proxy that ends TLS before this server, asks the client for its certificate, and passes it on.

    It has to remove the header that a client sends. The header is believed where the connection comes from one of the
    networks, and not looked at elsewhere.
    """

    networks: Sequence[str]
    header: str
    format: str

    def __post_init__(self) -> None:
        if not self.networks or not self.header or self.header.lower() in ("authorization", "dpop"):
            raise ValueError("Proxy: networks or header is missing, or the header has another purpose")
        if self.format not in (CLIENT_CERT, ESCAPED_PEM):
            raise ValueError(f"Proxy: format {self.format!r} is neither {CLIENT_CERT!r} nor {ESCAPED_PEM!r}")
        object.__setattr__(self, "_networks", [ipaddress.ip_network(n) for n in self.networks])

    def sent(self, address: str) -> bool:
        """Whether a request comes from the proxy."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = getattr(self, "_networks")
        return any(ip.version == n.version and ip in n for n in networks)

    def certificate(self, values: Sequence[str]) -> bytes | None:
        """The DER of the one header; None: there is none."""
        if not values or list(values) == [""]:
            return None
        if len(values) > 1 or len(values[0]) > _MAX_HEADER:
            raise errors.BoundElsewhere(f"header {self.header} occurs twice or is too long")
        try:
            der = self._decode(values[0])
            if x509.load_der_x509_certificate(der).public_bytes(Encoding.DER) != der:
                raise ValueError("not one certificate")
        except (ValueError, binascii.Error) as e:
            raise errors.BoundElsewhere(f"header {self.header}: {e}") from None
        return der

    def _decode(self, value: str) -> bytes:
        if self.format == CLIENT_CERT:
            m = re.match(r":([A-Za-z0-9+/]+={0,2}):\Z", value)
            if not m:
                raise ValueError("not a certificate in the format that is set")
            return base64.b64decode(m[1], validate=True)
        m = _PEM.match(unquote(value, errors="strict")) if _ESCAPES.match(value) else None
        if not m:
            raise ValueError("not a certificate in the format that is set")
        return base64.b64decode(m[1].replace("\n", ""), validate=True)
