"""
Tests for L{openfl_twisted.transports.states}.
"""

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.states import TRANSITIONS, Event, State
from openfl_twisted.transports.tcp import ServerTransport
from openfl_twisted.transports.wrapper import ConnectionWrapper
from tests.doubles import TightTransport
from tests.support.sockets import TightSocket

STEPS = ["write", "much", "drain", "close", "abort", "pause", "resume", "data", "lost", "wait"]


class Owner(StreamProtocol):
    """
    Receives data, and does nothing with it.
    """

    maxQueue = 100

    def bytesReceived(self, data: bytes) -> None:
        pass


class StateTests(SynchronousTestCase):
    """
    The table of state transitions.
    """

    def test_reachable(self) -> None:
        """
        Each state can be reached and leads to L{State.LOST}, which is final.
        """
        self.assertEqual({State.OPEN, *TRANSITIONS.values()}, set(State))
        self.assertEqual({before for before, _ in TRANSITIONS}, set(State) - {State.LOST})
        self.assertEqual({event for _, event in TRANSITIONS}, set(Event))

    def follow(self, connection: Connection, steps: list[str], actions: dict[str, Any]) -> None:
        """
        Execute steps, and check each transition.
        """
        allowed = {(before, after) for (before, _), after in TRANSITIONS.items()}
        # One step can cause two transitions.
        allowed |= {(a, c) for a, b in allowed for b2, c in allowed if b is b2}
        for step in steps:
            before = connection.state
            actions[step]()
            after = connection.state
            if before is not after:
                self.assertIn((before, after), allowed, step)
        if State.LOST is connection.state:
            for step in steps:
                actions[step]()
                self.assertIs(connection.state, State.LOST)

    @given(st.lists(st.sampled_from(STEPS), max_size=12))
    def test_wrapper(self, steps: list[str]) -> None:
        """
        A connection on any Twisted transport follows the table.
        """
        clock = Clock()
        owner = Owner()
        owner.getClock = lambda: clock  # type: ignore[method-assign]
        connection = ConnectionWrapper(owner, clock)
        transport = TightTransport(connection, 10)
        connection.makeConnection(transport)
        self.follow(
            connection,
            steps,
            {
                "write": lambda: connection.write(b"x"),
                "much": lambda: connection.write(b"x" * 90),
                "drain": transport.drain,
                "close": connection.loseConnection,
                "abort": connection.abortConnection,
                "pause": connection.pauseProducing,
                "resume": connection.resumeProducing,
                "data": lambda: connection.dataReceived(b"y") if not transport.closed else None,
                "lost": lambda: transport._close(ConnectionDone()),
                "wait": lambda: clock.advance(31),
            },
        )

    @given(st.lists(st.sampled_from(STEPS), max_size=12))
    def test_tcp(self, steps: list[str]) -> None:
        """
        A TCP connection follows the table.
        """
        clock = Clock()
        waiting: set[object] = set()
        reactor: Any = SimpleNamespace(
            addReader=lambda each: None,
            removeReader=lambda each: None,
            addWriter=waiting.add,
            removeWriter=waiting.discard,
            callLater=clock.callLater,
        )
        socket: Any = TightSocket()
        owner = Owner()
        owner.getClock = lambda: clock  # type: ignore[method-assign]
        port = cast("Any", SimpleNamespace(_realPortNumber=1))
        connection = ServerTransport(socket, owner, ("127.0.0.1", 1), port, 1, reactor)
        owner.makeConnection(connection)

        def drain() -> None:
            socket.room = 1 << 20
            if waiting:
                why = connection.doWrite()
                if why:
                    connection.connectionLost(Failure(why))
            socket.room = 0

        self.follow(
            connection,
            steps,
            {
                "write": lambda: connection.write(b"x"),
                "much": lambda: connection.write(b"x" * 90),
                "drain": drain,
                "close": connection.loseConnection,
                "abort": connection.abortConnection,
                "pause": connection.pauseProducing,
                "resume": connection.resumeProducing,
                "data": lambda: owner.dataReceived(b"y") if not connection.isLost else None,
                "lost": lambda: connection.connectionLost(Failure(CONNECTION_LOST)),
                "wait": lambda: clock.advance(31),
            },
        )
