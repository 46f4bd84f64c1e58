"""
Common parts of the tests of services that listen.
"""

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.services.serving import ServerService


class ServingTestCase(SynchronousTestCase):
    """
    Creates services that listen in memory.
    """

    def service(self, module: Any, *arguments: str, endpoint: Any = None) -> ServerService:
        """
        Create the service of a command.
        """
        self.reactor = MemoryReactorClock()
        options = module.Options()
        options.parseOptions(list(arguments))
        options["listen"] = [endpoint or TCP4ServerEndpoint(self.reactor, 8080)]
        service = module.makeService(options)
        assert isinstance(service, ServerService)
        service.factory.clock = self.reactor
        return service
