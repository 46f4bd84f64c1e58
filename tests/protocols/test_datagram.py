"""
Tests for L{openfl_twisted.protocols.datagram}.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.datagram import DatagramEchoProtocol


class Transport:
    """
    Records sent datagrams, and refuses datagrams that are too long.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []

    def write(self, data: bytes, address: Any) -> None:
        if len(data) > 65507:
            raise OSError("Message too long")
        self.sent.append((data, address))


class DatagramEchoTests(SynchronousTestCase):
    """
    L{DatagramEchoProtocol} answers datagrams.
    """

    def test_answers(self) -> None:
        """
        Each datagram is answered, except answers and datagrams that are too long.
        """
        echo = DatagramEchoProtocol()
        transport = Transport()
        echo.transport = transport  # type: ignore[assignment]
        address = ("127.0.0.1", 80)
        for datagram in [b"abc", b"", b"Echo -- abc", b"x" * 65500]:
            echo.datagramReceived(datagram, address)
        self.assertEqual(transport.sent, [(b"Echo -- abc", address), (b"Echo -- ", address)])
        self.assertEqual((echo.answered, echo.dropped), (2, 2))
