"""Verifies chains of client certificates with pyca/cryptography: see README.md in this folder."""

import datetime
import struct
import sys

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store


def read(name):
    """Return the certificates of a file of DER, each after its size."""
    with open(name + ".bin", "rb") as file:
        data = file.read()
    certificates = []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        certificates.append(x509.load_der_x509_certificate(data[4 : 4 + size]))
        data = data[4 + size :]
    return certificates


at = datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)
for line in open(sys.argv[1], encoding="utf-8"):
    number, roots, chain = line.rstrip("\n").split("\t")
    try:
        certificates = read(chain)
        verifier = PolicyBuilder().store(Store(read(roots))).time(at).build_client_verifier()
        verifier.verify(certificates[0], certificates[1:])
        said = "ok"
    except Exception as error:  # whatever it is, it is what the verifier said
        said = " ".join(str(error).split())
    print(number, said, sep="\t")
