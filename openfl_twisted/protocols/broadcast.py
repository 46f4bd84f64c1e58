"""
Two simple XMLSocket servers: L{BroadcastProtocol} forwards each message to all other clients,
and L{EchoProtocol} sends each message back.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol


class BroadcastProtocol(XMLSocketProtocol):
    """
    Forwards each message to all other clients, as valid UTF-8.
    """

    def messageReceived(self, message: str) -> None:
        """
        Forward one message to all other clients. This method is called only if a subclass
        overrides it; the override can call it with C{super}.

        @param message: the message.
        """
        self._forward([message])

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Forward the messages. A client that does not read is disconnected when its send queue
        is full, and does not delay other clients.
        """
        self._forward(messages)

    def _forward(self, messages: list[str]) -> None:
        self.factory.broadcastMessages(messages, exclude=(self,), sender=self)


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
