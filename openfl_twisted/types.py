"""
Types of parameters. Type checkers understand Twisted's interfaces only with a plugin, see
C{mypy-zope}. These types accept the same objects without a plugin.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)


class _Clock(Protocol):
    def seconds(self) -> float: ...

    def callLater(
        self, delay: float, function: Callable[..., object], /, *args: Any, **kwargs: Any
    ) -> Any: ...


class _Factory(Protocol):
    def buildProtocol(self, addr: Any, /) -> Any: ...

    def doStart(self) -> Any: ...

    def doStop(self) -> Any: ...


class _Endpoint(Protocol):
    def connect(self, protocolFactory: Any, /) -> Any: ...


class _ServerEndpoint(Protocol):
    def listen(self, protocolFactory: Any, /) -> Any: ...


AnyClock: TypeAlias = IReactorTime | _Clock
"""
An C{IReactorTime} provider, such as a reactor, C{task.Clock}, or the reactor of a
L{MemoryNetwork<openfl_twisted.testing.MemoryNetwork>}.
"""

AnyFactory: TypeAlias = IProtocolFactory | _Factory
"""
An C{IProtocolFactory} provider, such as a subclass of C{Factory}.
"""

AnyEndpoint: TypeAlias = IStreamClientEndpoint | _Endpoint
"""
An C{IStreamClientEndpoint} provider, such as C{TCP4ClientEndpoint}.
"""

AnyServerEndpoint: TypeAlias = IStreamServerEndpoint | _ServerEndpoint
"""
An C{IStreamServerEndpoint} provider, such as C{TCP4ServerEndpoint}.
"""
