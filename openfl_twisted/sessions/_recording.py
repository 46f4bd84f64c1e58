"""
A factory whose connections are recorded.
"""

from typing import Any

from twisted.internet.interfaces import IAddress

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import buildProtocol
from openfl_twisted.sessions._recorder import Recorder
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.types import AnyClock, AnyFactory


class RecordingFactory(WrapperFactory[Any]):
    """
    Records the connections of another factory. It belongs between a
    L{OnePortFactory<openfl_twisted.protocols.OnePortFactory>} and the factory of the application:
    then the recorded data is below TLS and WebSocket, and after the policy request.
    """

    kind = "recorded"

    def __init__(
        self, wrappedFactory: AnyFactory, recorder: Recorder, *, clock: AnyClock | None = None
    ) -> None:
        """
        @param wrappedFactory: the factory of the recorded protocols.
        @param recorder: the recorder. The caller starts and stops it.
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(wrappedFactory)
        self._recorder = recorder
        self._clock = clockOrReactor(clock)

    def logPrefix(self) -> str:
        return super().logPrefix().removesuffix(f" ({self.kind})")

    def buildProtocol(self, addr: IAddress | None) -> Any:
        wrapped = buildProtocol(self.wrappedFactory, addr)
        return None if wrapped is None else ConnectionWrapper(wrapped, self._clock, self._begin)

    def _begin(self, connection: Connection, protocol: Any) -> None:
        self._recorder.record(connection)
        protocol.makeConnection(connection)
