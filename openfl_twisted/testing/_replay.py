"""
Plays recorded sessions in tests, on an in-memory network.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory

from openfl_twisted.commandline import loadObject
from openfl_twisted.sessions import Difference, Masks, PlayerFactory, RunPlayer, Session
from openfl_twisted.sessions._session import sessionFiles
from openfl_twisted.testing._network import MemoryNetwork
from openfl_twisted.wire.dialects import DIALECTS, Dialect

# The time after which a client that waits for nothing is idle (seconds of the network's clock).
_IDLE = 60.0


def replay(
    *recordings: str | Path | Session,
    server: IProtocolFactory | None = None,
    client: IProtocolFactory | None = None,
    masks: str | Path | Masks | None = None,
    given: Mapping[str, str] | None = None,
    cut: Iterable[int] = (),
    dialect: str | Dialect | None = None,
    network: MemoryNetwork | None = None,
) -> None:
    """
    Play recorded sessions against a server or a client under test, and check that it sends the
    recorded messages. Nothing waits: the clock is that of an in-memory network.

    @param recordings: session files, folders of session files, or sessions. The sessions of a
        folder belong together: they are played in the recorded order.
    @param server: the factory of the server under test. The clients of all sessions connect to it.
    @param client: the factory of the client under test. It connects to a server that plays one of
        the sessions, and has a minute of the network's clock to finish. The test of a client that
        sends nothing by itself must let it do so in C{connectionMade}.
    @param masks: the parts of messages that may differ: a TOML file, or masks.
    @param given: values of variables, by name.
    @param cut: the sizes of the segments in both directions, see
        L{Flow.split<openfl_twisted.testing.Flow.split>} (default: as written).
    @param dialect: the dialect, or the name of a dialect of this package (default: that of each
        session).
    @param network: the network, whose clock the program under test must use (default: a new
        network).
    @raise openfl_twisted.sessions.Difference: an C{AssertionError}, if something differs. The text
        contains both messages.
    @raise TypeError: if not exactly one of C{server} and C{client} is a factory.
    @raise ValueError: if a file is not a session or masks, or a session cannot be played.
    @raise OSError: if a file cannot be read.
    """
    if (server is None) == (client is None):
        raise TypeError("replay() needs either server=factory or client=factory")
    for name, factory in (("server", server), ("client", client)):
        if factory is not None and not IProtocolFactory.providedBy(factory):
            words = (
                f": pass XMLSocketFactory({factory.__name__})" if isinstance(factory, type) else ""
            )
            raise TypeError(f"replay(): {name} must be a factory, not {factory!r:.80}{words}")
    network = MemoryNetwork() if network is None else network
    if isinstance(dialect, str):
        if dialect not in DIALECTS:
            raise ValueError(f"dialect={dialect}: must be one of {', '.join(DIALECTS)}")
        dialect = DIALECTS[dialect]
    sessions = _load(recordings, dialect)
    if not isinstance(masks, Masks | None):
        masks = Masks.load(masks, lambda name: loadObject("masks", name))
    before, network.segments = network.segments, cut
    try:
        if server is not None:
            _playClients(network, server, sessions, masks, given, dialect)
        else:
            player = PlayerFactory(
                sessions, masks, given=given, dialect=dialect, clock=network.reactor
            )
            _playServer(network, player, client)
    finally:
        network.segments = before


def _load(recordings: Iterable[str | Path | Session], dialect: Dialect | None) -> list[Session]:
    sessions: list[Session] = []
    for each in recordings:
        if isinstance(each, Session):
            sessions.append(each)
        else:
            sessions += [Session.load(path, dialect) for path in sessionFiles([each])]
    if not sessions:
        raise ValueError("replay() needs at least one session")
    return sessions


def _playClients(
    network: MemoryNetwork,
    server: IProtocolFactory,
    sessions: list[Session],
    masks: Masks | None,
    given: Mapping[str, str] | None,
    dialect: Dialect | None,
) -> None:
    port = network.reactor.listenTCP(0, server, interface="127.0.0.1")
    endpoint: Any = TCP4ClientEndpoint(network.reactor, "127.0.0.1", port.getHost().port)

    def connect(session: Session, factory: Any) -> Deferred[Any]:
        return endpoint.connect(factory)  # type: ignore[no-any-return]

    run = RunPlayer(sessions, connect, masks, given=given, dialect=dialect, clock=network.reactor)
    network.run(run.start())
    network.flush()
    port.stopListening()
    if run.problems:
        raise Difference("\n".join(run.problems))


def _playServer(network: MemoryNetwork, player: PlayerFactory, client: Any) -> None:
    port = network.reactor.listenTCP(0, player, interface="127.0.0.1")
    endpoint: Any = TCP4ClientEndpoint(network.reactor, "127.0.0.1", port.getHost().port)
    network.run(endpoint.connect(client))
    end = network.seconds() + _IDLE
    network.flush()
    while not player.isFinished and network.seconds() < end:
        network.advance(1.0)
    port.stopListening()
    player.closeAll()
    network.flush()
    player.verify()
