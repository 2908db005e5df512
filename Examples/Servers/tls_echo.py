# ends: ctrl-c
"""
An echo that nobody else can read: echo.py, with TLS.

    python Examples/Servers/tls_echo.py [PORT [CERTIFICATE KEY]]

The two are PEM files. Without them it makes a certificate for a day, and says where. In another
terminal, with the line that it prints:

    openssl s_client -quiet -verify_return_error -CAfile cert.pem -connect 127.0.0.1:1500

    client's socket <==TLS==> ConnectedSocketAdapter --bytes--> EchoProtocol --bytes--> back again

The protocol is the same component: what it gets and sends was decrypted, or will be encrypted, by
the socket's. Its client is served once the handshake is done; who is slow at that is in nobody's
way, and dropped after a time.
"""

import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Protocol.EchoProtocol import EchoProtocol


def made_in(folder: str) -> tuple[str, str]:
    """A new certificate for this machine, signed by nobody but itself, and its key."""
    certificate, key = str(Path(folder, "cert.pem")), str(Path(folder, "key.pem"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-out", certificate, "-keyout", key]
    subprocess.run([*command.split(), *names, *files], check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own words
    return certificate, key


port = int(sys.argv[1]) if sys.argv[1:] else 1500
with TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
    certificate, key = sys.argv[2:4] if sys.argv[3:] else made_in(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = FastRestartServer(protocol=EchoProtocol, host="127.0.0.1", port=port, tls=context)
    server.activate()
    print(
        "openssl s_client -quiet -verify_return_error -CAfile",
        f"{certificate} -connect {server.host}:{server.address[1]}",
        flush=True,
    )
    server.run()
