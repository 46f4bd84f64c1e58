"""
C{--console}: a page for who looks after a server, that shows who is connected
and what they say, and can close and tell them.
"""

import secrets

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint

from openfl_twisted.logs import packageLogger
from openfl_twisted.services.console.resources import consoleResource
from openfl_twisted.services.console.watching import Watch
from openfl_twisted.services.overview import Watched
from openfl_twisted.services.sites import SiteService

__all__ = ["ConsoleService"]


class ConsoleService(SiteService):
    """
    The console of a server.

    @ivar token: who knows it may use the console.
    @ivar watch: who looks on.
    """

    log = packageLogger()

    def __init__(
        self,
        service: Watched,
        endpoint: IStreamServerEndpoint,
        token: str | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param service: the server.
        @param endpoint: where the console is.
        @param token: who knows it may use the console; C{None} for one that is
            made, and written into the log.
        @param clock: for the times; the reactor if there is none.
        """
        self.token = token or secrets.token_urlsafe(16)
        self.watch = Watch(service, clock)
        super().__init__(endpoint, consoleResource(self.watch, self.token), self._tell, clock)
        self._secret = token is not None

    def _tell(self, at: str) -> None:
        if self._secret:
            self.log.info("console on {at}", at=at)
        else:
            self.log.info("console on {at}#{token}", at=at, token=self.token)

    def stopService(self) -> Deferred[None]:
        """
        Close the port, and the connections of who looks on.
        """
        self.watch.close()
        return super().stopService()
