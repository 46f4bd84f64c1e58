"""
A protocol for L{tests.live.test_async}, whose handlers wait.
"""

import asyncio
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from openfl_twisted.protocols import XMLSocketProtocol, streamprotocol

streamprotocol._HANG_UP_INTERVAL = 0.1


class Waiting(XMLSocketProtocol):
    """
    Waits for the result that a message names, then sends the message back.
    """

    async def messageReceived(self, message: str) -> None:
        match message:
            case "time":
                await deferLater(self.getClock(), 0.01)
            case "thread":
                await deferToThread(partial(sum, [1, 2]))
            case "asyncio":
                future = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_later(0.01, future.set_result, 1)
                await future
                await asyncio.sleep(0)
            case "forever":
                self.log.info("waiting")
                try:
                    await Deferred()
                except CancelledError:
                    self.log.info("cancelled")
                    raise
        self.sendMessage(message)
