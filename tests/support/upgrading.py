"""
A protocol that starts TLS on request.
"""

from tests.sessions.recordings import CREDENTIALS, Answering


class UpgradingProtocol(Answering):
    """
    Starts TLS after the message C{tls}.
    """

    def messageReceived(self, message: str) -> None:
        if message == "tls":
            self.sendMessage("go")
            self.transport.startTLS(CREDENTIALS)
        else:
            super().messageReceived(message)
