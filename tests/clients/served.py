"""
A server with a dashboard, for a browser.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from twisted.logger import capturedLogs

from openfl_twisted.dashboard.page import DashboardService
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.services import xmlserver
from tests.doubles import linesOf
from tests.live.peers import HOST

ANY = f"tcp:0:interface={HOST}"


class Served(NamedTuple):
    """
    A running server with a dashboard.

    @ivar port: the port of the server.
    @ivar url: the URL of the dashboard, without the token.
    @ivar token: the token.
    @ivar site: the dashboard.
    """

    port: int
    url: str
    token: str
    site: DashboardService

    @property
    def resource(self) -> Any:
        """
        The resource of the dashboard.
        """
        site: Any = self.site.guard.wrappedFactory
        return site.resource


@asynccontextmanager
async def serve(
    *arguments: str, module: Any = xmlserver, pubSub: IPubSub | None = None
) -> AsyncIterator[Served]:
    """
    Run a server with a dashboard in the block.

    @param arguments: additional arguments of the server.
    @param module: the module of the command.
    @param pubSub: sends messages to other servers, if any.
    """
    options = module.Options()
    options.parseOptions([f"--listen={ANY}", f"--dashboard={ANY}", *arguments])
    options["broker"], options["presence"] = pubSub, None
    service: Any = module.makeService(options)
    [_, site] = service.services
    assert isinstance(site, DashboardService)
    with capturedLogs() as logs:
        service.startService()
    printed = "\n".join(linesOf(logs))
    [port] = re.findall(r"listening on \S+:(\d+)", printed)
    [(url, token)] = re.findall(r"dashboard on (\S+)#(\S+)", printed)
    try:
        yield Served(int(port), url, token, site)
    finally:
        await service.stopService()


ROWS = "[...document.querySelectorAll('#table tr')]"
