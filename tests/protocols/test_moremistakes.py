"""
Likely mistakes in sending, in results of handlers and in settings.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.commandline import GroupedOptions
from openfl_twisted.dispatch import JSONDispatchProtocol, handler
from openfl_twisted.net import XMLSocket
from openfl_twisted.protocols import OnePortFactory, XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import EventRecorder, MemoryNetwork, Peer, ScriptedPeer, connectedPair
from openfl_twisted.transports.guard import GuardFactory

IGNORED = (
    "a handler of Own has returned 'A', which is ignored: to send it, call a method such as"
    " sendMessage"
)
"""
The log line for an ignored result.
"""


class Returning(XMLSocketProtocol):
    """
    A protocol that returns its answer.
    """

    def messageReceived(self, message: str) -> Any:
        return message.upper()


class SendingTests(SynchronousTestCase):
    """
    Objects that are not messages.
    """

    def setUp(self) -> None:
        self.factory: Any = XMLSocketFactory(Returning)
        self.protocol: Any = connectedPair(Peer(), self.factory).server

    def fails(self, words: str, function: Callable[..., object], *arguments: Any) -> None:
        """
        Check that a call raises C{TypeError} with a text.
        """
        error = self.assertRaises(TypeError, function, *arguments)
        self.assertIn(words, str(error))

    def test_sendMessage(self) -> None:
        """
        The error says how to send the object.
        """
        send = self.protocol.sendMessage
        self.fails("send bytes with sendLine", send, b"a")
        self.fails("json.dumps", send, {"a": 1})
        self.fails("json.dumps", send, 5)
        self.fails("send several messages with sendMessages", send, ["a", "b"])
        self.fails("await it first", send, Deferred())
        self.fails("json.dumps", self.factory.broadcast, {"a": 1})

    def test_lists(self) -> None:
        """
        Text is not a list of messages, and a protocol is not a list of protocols.
        """
        self.fails("use sendMessage", self.protocol.sendMessages, "text")
        self.fails("exclude=[protocol]", self.factory.broadcast, "a", self.protocol)


class HandlerTests(SynchronousTestCase):
    """
    Handlers whose result or body would be lost.
    """

    def test_result(self) -> None:
        """
        An ignored result is logged, once for each class.
        """
        logs: list[Any] = []
        observer: Any = logs.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for _ in range(2):
            pair = connectedPair(Peer(), XMLSocketFactory(type("Own", (Returning,), {})))
            pair.client.send(b"a\0b\0")
            pair.network.flush()
        texts = [formatEvent(event) for event in logs if event["log_level"].name == "warn"]
        self.assertEqual(
            texts,
            2 * [IGNORED],
        )

    def test_asyncGenerator(self) -> None:
        """
        The body of an asynchronous generator would not run.
        """

        async def messageReceived(self: Any, message: str) -> AsyncIterator[str]:
            yield message

        with self.assertRaises(TypeError) as caught:
            type("Own", (XMLSocketProtocol,), {"messageReceived": messageReceived})
        self.assertIn("Own.messageReceived is a generator function", str(caught.exception))

    def test_self(self) -> None:
        """
        A handler without C{self}.
        """

        def move(x: int) -> None: ...

        with self.assertRaises(TypeError) as caught:
            type("Own", (JSONDispatchProtocol,), {"move": handler(move)})
        self.assertIn("the first parameter of a handler must be self, not x", str(caught.exception))


class SettingTests(SynchronousTestCase):
    """
    Settings of a wrong type are refused when an object is created.
    """

    def test_numbers(self) -> None:
        """
        Limits and timeouts are numbers from 0.
        """
        factory: Any = XMLSocketFactory(Returning)
        wrong: Any = "2"
        for name, make in (
            ("messageRate", lambda value: XMLSocketFactory(Returning, messageRate=value)),
            ("maxConnections", lambda value: GuardFactory(factory, maxConnections=value)),
            ("greetingDelay", lambda value: OnePortFactory(factory, greetingDelay=value)),
        ):
            error = self.assertRaises(TypeError, make, wrong)
            self.assertEqual(str(error), f"{name} must be a number from 0, not '2'")
            self.assertRaises(ValueError, make, -2)

    def test_accept(self) -> None:
        """
        Client types are a set.
        """
        accept: Any = "plain,websocket"
        factory: Any = XMLSocketFactory(Returning)
        with self.assertRaises(TypeError) as caught:
            OnePortFactory(factory, accept=accept)
        self.assertIn("use parseClientTypes('plain,websocket')", str(caught.exception))

    def test_eventType(self) -> None:
        """
        The type of an event is text.
        """
        socket: Any = XMLSocket(reactor=MemoryNetwork().reactor)
        for wrong, words in ((None, "#2007"), (5, "type must be text, such as Event.CONNECT")):
            with self.assertRaises(TypeError) as caught:
                socket.addEventListener(wrong, id)
            self.assertIn(words, str(caught.exception))

    def test_argument(self) -> None:
        """
        An unexpected argument of a command is named.
        """

        class Options(GroupedOptions):
            longdesc = ""

        error = self.assertRaises(UsageError, Options().parseOptions, ["extra"])
        self.assertEqual(str(error), "unexpected argument 'extra'")

    def test_testing(self) -> None:
        """
        A peer that was not started, and a class instead of a socket.
        """
        error = self.assertRaises(AssertionError, ScriptedPeer().expect(b"a").verify)
        self.assertIn("the peer was not started; call listen() or connect()", str(error))
        wrong: Any = XMLSocket
        with self.assertRaises(TypeError):
            EventRecorder(wrong)
