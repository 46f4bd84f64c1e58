"""
Load tests on an in-memory network.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.load._bots import botFactory, echoFactory
from openfl_twisted.load._loadtest import LoadTest, Plan
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.target import Target
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import MemoryNetwork
from openfl_twisted.tls import Trust

PORT = 8080


class LoadTestCase(SynchronousTestCase):
    """
    Base class: runs load tests against a server on an in-memory network.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.reactor = self.network.reactor
        self.addCleanup(self.network.check)

    def serve(
        self, protocol: Callable[[], XMLSocketProtocol] = EchoProtocol, **settings: Any
    ) -> Any:
        """
        Start a server that accepts all client types.

        @param settings: arguments of C{XMLSocketFactory}.
        @return: the factory.
        """
        factory = XMLSocketFactory(protocol, clock=self.reactor, **settings)
        self.listen(OnePortFactory(factory, clock=self.reactor))
        return factory

    def listen(self, factory: Any) -> None:
        """
        Listen with a factory on the port of the default target.
        """
        self.reactor.listenTCP(PORT, factory)

    def load(
        self,
        bot: type[Any] | None = None,
        plan: Plan | None = None,
        target: str = f"tcp:127.0.0.1:{PORT}",
    ) -> LoadTest:
        """
        Create a load test.

        @param bot: the class of the bots (default: the echo bot).
        @param plan: the plan (default: 10 bots at 10/s for 1 s).
        """
        factory: Factory[Any] = (
            echoFactory(64, self.reactor) if bot is None else botFactory(bot, self.reactor)
        )
        endpoint = Target.parse(target).endpoint(self.reactor, 10.0, Trust())
        plan = plan or Plan(10, 10.0, 1.0)
        return LoadTest(self.reactor, self.reactor.seconds, endpoint, factory, plan)

    def run_(self, test: LoadTest) -> LoadTest:
        """
        Run a load test to its end.

        @return: the load test.
        """
        self.network.run(Deferred.fromCoroutine(test.run()))
        return test
