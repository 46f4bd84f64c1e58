"""
The two simplest servers for C{XMLSocket}: one sends each message to all other
clients, the other sends it back.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.transports.receivebuffer import MAX_WORK

# Number of messages, times receivers, that are sent before other clients are served.
_MAX_WRITES = 65536
_MIN_BATCH = 16


class BroadcastProtocol(XMLSocketProtocol):
    """
    Forwards each message to all other clients, as valid UTF-8.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Send them to the others. A client that does not read is disconnected when
        its send queue is full; the others do not wait for it.
        """
        most = max(_MIN_BATCH, _MAX_WRITES // len(self.factory.connections))
        if len(messages) <= most:
            self._forward(messages)
        else:
            batches = [messages[at : at + most] for at in range(0, len(messages), most)]
            self.deliverEach(batches, self._forward)

    def _forward(self, messages: list[str]) -> None:
        """
        Send messages to the others, and count the work.
        """
        self.factory.broadcastMessages(messages, exclude=(self,))
        writes = len(messages) * len(self.factory.connections)
        self.spend(writes * MAX_WORK // _MAX_WRITES)


class EchoProtocol(XMLSocketProtocol):
    """
    Sends each message back.
    """

    def connectionMade(self) -> None:
        """
        Pause reading while the client does not read.
        """
        self.transport.registerProducer(self.transport, True)

    def messageReceived(self, message: str) -> None:
        """
        Send the message back.
        """
        self.sendMessage(message)
