"""
A game and its high scores on one port: Flash programs send their scores with `URLLoader`, as
AMF values in HTTP requests. Run it with `python highscores.py`.
"""

import sys
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.web import http, resource
from twisted.web.server import Site

from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.protocols import BroadcastProtocol, XMLSocketFactory
from openfl_twisted.wire.amf import codec
from openfl_twisted.wire.amf.values import AMFError


class Scores(resource.Resource):
    """
    Receives a score, and answers with the best scores: `POST` with an AMF3 object that has the
    members `name` and `score`.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.scores: list[tuple[int, str]] = []

    def render_POST(self, request: Any) -> bytes:
        try:
            score, _ = codec.decode(request.content.read())
            self.scores.append((int(score["score"]), str(score["name"])[:20]))
        except (AMFError, EOFError, KeyError, OverflowError, TypeError, ValueError):
            request.setResponseCode(http.BAD_REQUEST)
            return b"The body must be an AMF3 object with the members name and score.\n"
        self.scores = sorted(self.scores, reverse=True)[:10]
        request.setHeader("content-type", "application/x-amf")
        return codec.encode([{"name": name, "score": score} for score, name in self.scores])


def send(port: int, body: bytes) -> bytes:
    """
    Send a `POST` request, and return the body of the response.
    """
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("POST", "/scores", body)
        return connection.getresponse().read()


async def main(reactor: Any) -> None:
    """
    Open the port, send two scores as a Flash program does, and print the answer.
    """
    game = XMLSocketFactory(BroadcastProtocol)
    tcp = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port: Any = await openflEndpoint(tcp, http=Site(Scores())).listen(game)
    for name, score in (("Ann", 500), ("Ben", 700)):
        body = codec.encode({"name": name, "score": score})
        answer = await deferToThread(send, port.getHost().port, body)
        best, _ = codec.decode(answer)
    sys.stdout.write(f"{best}\n")
    await port.stopListening()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
