"""
Tests for L{openfl_twisted.testing.replay}.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.sessions import Difference, Header, Masks, Message, Session
from openfl_twisted.sessions._session import End
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork, replay


class Shouter(XMLSocketProtocol):
    """
    Returns messages in capitals.
    """

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message.upper())


class Greeter(XMLSocketProtocol):
    """
    A client that says one word, and closes the connection after the answer.
    """

    word = "hello"

    def connectionMade(self) -> None:
        self.sendMessage(self.word)

    def messageReceived(self, message: str) -> None:
        self.transport.loseConnection()


class Silent(XMLSocketProtocol):
    """
    A client that says nothing.
    """

    def messageReceived(self, message: str) -> None: ...


def session(*lines: tuple[str, bytes], end: str | None = "client", name: str = "a") -> Session:
    """
    Create a session from the side and the data of each message.
    """
    messages = [
        Message(data, side, number / 10, number, number + 1)
        for number, (side, data) in enumerate(lines, 1)
    ]
    last = len(messages) + 1
    return Session(
        Header(dialect="xml"),
        messages,
        None if end is None else End(end, last / 10, last),
        name=f"{name}.session",
    )


HELLO = session(("client", b"hello\0"), ("server", b"HELLO\0"))

CUTS: tuple[Iterable[int], ...] = ((), EVERY_BYTE, (1, 2, 3), (4, 4, 4))


class ServerTests(SynchronousTestCase):
    """
    A server under test.
    """

    def test_same(self) -> None:
        """
        The server sends the recorded messages, however the data is cut.
        """
        for cut in CUTS:
            replay(HELLO, server=XMLSocketFactory(Shouter), cut=cut)

    def test_different(self) -> None:
        """
        The server sends something else, more, or less.
        """
        for lines, words in (
            ((("client", b"hi\0"), ("server", b"Hi\0")), "differs\n  recorded  Hi\n  now       HI"),
            ((("client", b"hi\0"), ("server", b"HI\0"), ("server", b"x\0")), "within 5 s: x"),
            ((("client", b"a\0b\0"), ("server", b"A\0")), "more than was recorded: B"),
        ):
            for cut in CUTS:
                with self.assertRaises(Difference) as caught:
                    server: Any = XMLSocketFactory(Shouter)
                    replay(session(*lines, end="server"), server=server, cut=cut)
                self.assertIn(words, str(caught.exception))

    def test_folder(self) -> None:
        """
        The sessions of a run are played in the recorded order, with masks.
        """
        with TemporaryDirectory() as name:
            folder = Path(name)
            self._record(folder)
            make: Callable[[], Any] = lambda: RoomFactory(  # noqa: E731
                XMLRoomProtocol, Lobby(clock=MemoryNetwork().reactor), announces=True
            )
            for cut in CUTS:
                replay(folder, server=make(), masks=folder / "rooms.toml", cut=cut)
            with self.assertRaises(Difference) as caught:
                replay(folder, server=make())
            self.assertIn("000001.session:3: message 2 of 3", str(caught.exception))
            self.assertIn("000002.session:3: message 2 of 2", str(caught.exception))

    def _record(self, folder: Path) -> None:
        """
        Write the sessions of two members of a room.
        """
        ann = (
            ("client", 1, b'<join room="hall" name="Ann"/>\0'),
            ("server", 2, b'<welcome room="hall" name="Ann" token="11" />\0'),
            ("server", 4, b'<joined name="Ben" />\0'),
        )
        ben = (
            ("client", 3, b'<join room="hall" name="Ben"/>\0'),
            ("server", 5, b'<welcome room="hall" name="Ben" token="22" />\0'),
        )
        for number, (lines, end) in enumerate(((ann, 7), (ben, 6)), 1):
            Session(
                Header(dialect="xml"),
                [Message(data, side, 0.0, n) for side, n, data in lines],
                End("client", 0.0, end),
            ).save(folder / f"{number:06}.session")
        (folder / "rooms.toml").write_text(
            "[[variable]]\nname = 'token'\npattern = 'token=\"([^\"]*)\"'\n"
            "[[skip]]\nfrom = 'server'\npattern = '^<left'\n"
        )


class ClientTests(SynchronousTestCase):
    """
    A client under test.
    """

    def test_same(self) -> None:
        """
        The client sends the recorded messages.
        """
        for cut in CUTS:
            replay(HELLO, client=XMLSocketFactory(Greeter), cut=cut)

    def test_different(self) -> None:
        """
        The client sends something else, or nothing.
        """
        other = session(("client", b"hallo\0"), ("server", b"HALLO\0"))
        with self.assertRaises(Difference) as caught:
            replay(other, client=XMLSocketFactory(Greeter))
        self.assertIn("recorded  hallo\n  now       hello", str(caught.exception))
        with self.assertRaises(Difference) as caught:
            replay(HELLO, client=XMLSocketFactory(Silent))
        self.assertIn("message 1 of 2 had not been received", str(caught.exception))

    def test_candidates(self) -> None:
        """
        The client plays one of several sessions.
        """
        other = session(("client", b"hallo\0"), ("server", b"HALLO\0"), name="b")
        replay(other, HELLO, client=XMLSocketFactory(Greeter))


class MistakeTests(SynchronousTestCase):
    """
    Wrong arguments.
    """

    def test_wrong(self) -> None:
        """
        Each is explained in one sentence.
        """
        server: Any = XMLSocketFactory(Shouter)
        wrong: Any = Shouter
        for call, words in (
            (lambda: replay(HELLO), "either server=factory or client=factory"),
            (lambda: replay(HELLO, server=server, client=server), "either server=factory"),
            (lambda: replay(HELLO, server=wrong), "server must be a factory, not <class"),
            (lambda: replay(server=server), "at least one session"),
        ):
            with self.assertRaises((TypeError, ValueError)) as caught:
                call()
            self.assertIn(words, str(caught.exception))

    def test_masks(self) -> None:
        """
        Masks can be objects, and a hidden value must be given.
        """
        hidden = session(("client", b"{word}\0"), ("server", b"HELLO\0"))
        hidden.header = Header(dialect="xml", hidden={"word": "^(.*)\0$"})
        server: Any = XMLSocketFactory(Shouter)
        with self.assertRaises(ValueError) as caught:
            replay(hidden, server=server, masks=Masks())
        self.assertIn("needs a value for word", str(caught.exception))
        replay(hidden, server=server, given={"word": "hello"})


def test_fixture(replay: Callable[..., None], memoryNetwork: MemoryNetwork) -> None:
    """
    The fixture plays sessions on the network of the test.
    """
    replay(HELLO, server=XMLSocketFactory(Shouter))
    assert len(memoryNetwork.connections) == 1
    with pytest.raises(Difference):
        replay(HELLO, server=Factory.forProtocol(Silent))
