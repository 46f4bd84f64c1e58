"""
A server that opens WebSockets only for clients with a token. Run it in this directory with
`openfl-xml --accept websocket --app allowing:Player`.
"""

from hmac import compare_digest

from openfl_twisted.protocols import WebSocketRequest, XMLSocketProtocol

ACCEPTED = "8f1c0a6e"


class Player(XMLSocketProtocol):
    """
    Sends each message back to a client with the token.
    """

    @classmethod
    async def allow(cls, request: WebSocketRequest) -> bool | int:
        """
        Accept the token in the path, in a cookie or in a header.
        """
        found = (
            request.path.removeprefix("/play/").removeprefix("/"),
            request.cookies.get("token", ""),
            request.headers.get("authorization", "").removeprefix("Bearer "),
        )
        if not any(found):
            return 401
        # The comparison takes the same time for each wrong token.
        return any(compare_digest(each.encode(), ACCEPTED.encode()) for each in found)

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message)
