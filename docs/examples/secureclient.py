"""
A client that trusts one CA certificate. Run it with
`python secureclient.py HOST PORT CA.pem`.
"""

import sys

from openfl_twisted import run
from openfl_twisted.net import SecureSocket
from openfl_twisted.tls import Trust


async def main(host: str, port: str, authority: str) -> None:
    """
    Connect, and print the status of the server's certificate.
    """
    socket = SecureSocket(trust=Trust.fromPEM(authority))
    socket.connect(host, int(port))
    try:
        await socket.whenConnected()
    except OSError as problem:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{socket.serverCertificateStatus}\n")
    if socket.connected:
        socket.close()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
