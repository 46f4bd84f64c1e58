"""
A FastAPI application and a game in one process and one event loop. Run it with
`python fastapigame.py`.
"""

import asyncio
from collections import Counter

import uvicorn
from fastapi import FastAPI
from twisted.internet import asyncioreactor

asyncioreactor.install()

from twisted.internet import reactor  # noqa: E402, TID253
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.endpoints import serverFromString  # noqa: E402
from twisted.logger import Logger  # noqa: E402

from openfl_twisted import run  # noqa: E402
from openfl_twisted.protocols import (  # noqa: E402
    OnePortFactory,
    XMLSocketFactory,
    XMLSocketProtocol,
)
from openfl_twisted.transports.guard import GuardFactory  # noqa: E402

scores: Counter[str] = Counter()


async def save(name: str) -> int:
    """
    Count a point. A real game would await its database here.
    """
    await asyncio.sleep(0.01)
    scores[name] += 1
    return scores[name]


class Player(XMLSocketProtocol):
    """
    Each message is the name of a player who has won a point.
    """

    async def messageReceived(self, message: str) -> None:
        score = await save(message)
        self.factory.broadcast(f"{message}: {score}")


players = XMLSocketFactory(Player)
guard = GuardFactory(OnePortFactory(players), maxConnections=1000)
app = FastAPI()


@app.get("/status")
async def status() -> dict[str, object]:
    """
    Report the players and the scores.
    """
    return {"players": len(players.connections), "scores": dict(scores)}


@app.post("/announce")
async def announce(text: str) -> None:
    """
    Send a message to all players.
    """
    players.broadcast(text)


async def main() -> None:
    """
    Serve the game until the web server is stopped with Ctrl-C.
    """
    port = await serverFromString(reactor, "tcp:8080:interface=127.0.0.1").listen(guard)
    Logger().info("listening on 127.0.0.1:8080 and http://127.0.0.1:8081/status")
    web = uvicorn.Server(uvicorn.Config(app, port=8081, log_level="warning"))
    await Deferred.fromFuture(asyncio.ensure_future(web.serve()))
    await port.stopListening()
    await guard.closeAll(5)


if __name__ == "__main__":
    run(main)
