"""
Two simple XMLSocket servers: L{BroadcastProtocol} forwards each message to all other clients,
and L{EchoProtocol} sends each message back.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.transports.receivebuffer import MAX_WORK

# Maximum number of messages multiplied by receivers that are sent before other clients are served.
_MAX_WRITES = 65536
_MIN_BATCH = 16


class BroadcastProtocol(XMLSocketProtocol):
    """
    Forwards each message to all other clients, as valid UTF-8.
    """

    def messageReceived(self, message: str) -> None:
        """
        Forward one message. A subclass that overrides this method can call it with C{super}.
        If no subclass overrides it, L{messagesReceived} is called instead.

        @param message: the message.
        """
        self._forward([message])

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Forward the messages. A client that does not read is disconnected when its send queue
        is full, and does not delay other clients.
        """
        most = max(_MIN_BATCH, _MAX_WRITES // len(self.factory.connections))
        if len(messages) <= most:
            self._forward(messages)
        else:
            batches = [messages[at : at + most] for at in range(0, len(messages), most)]
            self.deliverEach(batches, self._forward)

    def _forward(self, messages: list[str]) -> None:
        self.factory.broadcastMessages(messages, exclude=(self,))
        writes = len(messages) * len(self.factory.connections)
        self.spend(writes * MAX_WORK // _MAX_WRITES)


class EchoProtocol(XMLSocketProtocol):
    """
    Sends each message back.
    """

    def connectionMade(self) -> None:
        """
        Apply backpressure: pause reading while the client does not read.
        """
        self.transport.registerProducer(self.transport, True)

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message)

    def messagesReceived(self, messages: list[str]) -> None:
        self.sendMessages(messages)
