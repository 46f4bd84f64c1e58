"""
Tests for L{openfl_twisted.dispatch}.
"""

import json
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Annotated, Any, Optional
from xml.sax.saxutils import quoteattr

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dispatch import (
    _MAX_MALFORMED,
    DispatchProtocol,
    JSONDispatchProtocol,
    SmartFoxProtocol,
    XMLDispatchProtocol,
    XtDispatchProtocol,
    handler,
)
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import LobbyError
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol, RoomFactory, XMLRoomProtocol
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork, Peer, connectedPair
from openfl_twisted.wire.xmltext import element, formatValue


class Color(Enum):
    RED = "red"
    TWO = 2


class Level(IntEnum):
    LOW = 1


class Handlers:
    """
    Handlers of all formats.

    @ivar calls: the names and parameters of the calls.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    @handler
    def move(self, x: int, y: int = 7) -> None:
        self.calls.append(("move", x, y))

    @handler("j#jr")
    @handler("all")
    def everything(
        self,
        number: float,
        flag: bool,
        words: str,
        color: Color = Color.RED,
        *,
        level: "Optional[Level]",  # noqa: UP045 - both notations are supported
        limit: Annotated[int, "a"] | None = 3,
    ) -> str:
        self.calls.append(("all", number, flag, words, color, level, limit))
        return "done"

    @handler
    def say(self, text: str) -> None:
        self.calls.append(("say", text))

    @handler("raw")
    def takeRaw(self, value: Any) -> None:
        self.calls.append(("raw", value))

    @handler
    def where(self, room: int) -> None:
        self.calls.append(("where", room))

    @handler
    def crash(self) -> None:
        raise ZeroDivisionError

    def secret(self) -> None:
        self.calls.append(("secret",))


class XMLPlayer(Handlers, XMLDispatchProtocol):
    pass


class JSONPlayer(Handlers, JSONDispatchProtocol):
    pass


class XtPlayer(Handlers, XtDispatchProtocol):
    pass


class FoxPlayer(Handlers, SmartFoxProtocol):
    pass


class Connected:
    """
    A connected client in memory.
    """

    def __init__(self, make: Callable[[], DispatchProtocol], *, split: bool = False) -> None:
        self.network = MemoryNetwork()
        factory = XMLSocketFactory(make)
        self.pair = connectedPair(Peer(), factory, network=self.network)
        self.protocol: Any = self.pair.server
        if split:
            self.pair.connection.toServer.split(EVERY_BYTE)

    def send(self, *messages: str | bytes) -> list[str]:
        """
        Send messages.

        @return: the answers.
        """
        client = self.pair.client
        client.segments.clear()
        for message in messages:
            data = message if isinstance(message, bytes) else message.encode()
            client.send(data + b"\0")
        self.network.flush()
        return client.received.decode().split("\0")[:-1]

    def calls(self, *messages: str) -> list[tuple[Any, ...]]:
        """
        Send messages that are not answered, and return the calls.
        """
        answers = self.send(*messages)
        assert not answers, answers
        found, self.protocol.calls = self.protocol.calls, []
        return list(found)


class XMLTests(SynchronousTestCase):
    """
    L{XMLDispatchProtocol}.
    """

    def test_calls(self) -> None:
        """
        Attributes, child elements and text are the parameters, however the stream is split.
        """
        for split in (False, True):
            client = Connected(XMLPlayer, split=split)
            for message, call in (
                ('<move x="3" y="4"/>', ("move", 3, 4)),
                ("<?xml version='1.0'?> <move x='-3'></move>\n", ("move", -3, 7)),
                ("<move>\n <y>4</y><x>3</x>\n</move>", ("move", 3, 4)),
                ("<move x='3'><y><![CDATA[4]]></y></move>", ("move", 3, 4)),
                ("<say>a &lt;<!-- -->b</say>", ("say", "a <b")),
                ("<say text='a'/>", ("say", "a")),
                ("<say><text>a</text></say>", ("say", "a")),
                ("<say/>", ("say", "")),
                ("<say> </say>", ("say", " ")),
                ("<raw value='1'/>", ("raw", "1")),
                ("<where room='1'/>", ("where", 1)),
                (
                    "<all number='1.5e1' flag='true' words='' level='1' color='2'/>",
                    ("all", 15.0, True, "", Color.TWO, Level.LOW, 3),
                ),
                (
                    "<all number='2' flag='0' words='a' limit='4'/>",
                    ("all", 2.0, False, "a", Color.RED, None, 4),
                ),
            ):
                self.assertEqual(client.calls(message), [call], message)

    def test_errors(self) -> None:
        """
        A message that does not fit is answered with one error, and calls nothing.
        """
        client = Connected(XMLPlayer)
        for message, code, text in (
            ("<move/>", "parameter", "move: x is missing"),
            ("<move x='a'/>", "parameter", "move: x must be an integer"),
            (f"<move x='{2**63}'/>", "parameter", "move: x must be an integer"),
            (f"<move x='{'1' * 65}'/>", "parameter", "move: x must be an integer"),
            ("<move x='1' z='2'/>", "parameter", "move: unknown parameter &quot;z&quot;"),
            ("<move x='1'>2</move>", "parameter", "move: unknown parameter &quot;text&quot;"),
            ("<move x='1'><x>1</x></move>", "parameter", "move: x is given twice"),
            ("<move><x>1</x><x>1</x></move>", "parameter", "move: x is given twice"),
            ("<say text='a'>b</say>", "parameter", "say: text is given twice"),
            (
                "<all number='1' flag='1' words='' color='blue'/>",
                "parameter",
                "all: color must be one of red, 2",
            ),
            ("<all number='1' flag='no'/>", "parameter", "all: flag must be true or false"),
            ("<all number='inf'/>", "parameter", "all: number must be a number"),
            ("<secret/>", "unknown", "unknown message &quot;secret&quot;"),
            ("<everything/>", "unknown", "unknown message &quot;everything&quot;"),
            (f"<{'a' * 50}/>", "unknown", f"unknown message &quot;{'a' * 40}...&quot;"),
        ):
            expected = element("error", code=code).replace("/>", f">{text}</error>")
            expected = expected.replace("&quot;", '"')
            self.assertEqual(client.send(message), [expected], message)
        self.assertEqual(client.calls(), [])

    def test_malformed(self) -> None:
        """
        A message in another format is answered with an error.
        """
        client = Connected(XMLPlayer)
        for message in (
            b"",
            b"hello",
            b"<move",
            b"<move x='1' x='1'/>",
            b"<move><x a='1'>1</x></move>",
            b"<move><x><y/></x></move>",
            b"<move xmlns='a' x='1'/>",
            b"<!DOCTYPE move><move x='1'/>",
            b"<move x='1'/><move x='1'/>",
            b'{"type": "move", "x": 1}',
            b"\xff\xed\xa0\x80",
        ):
            [answer] = client.send(message)
            self.assertIn('<error code="malformed">', answer)
        self.assertEqual(client.calls(), [])

    def test_names(self) -> None:
        """
        No name of a method, attribute or special method calls anything without C{@handler}.
        """
        client = Connected(XMLPlayer)
        for name in dir(client.protocol):
            if name in ("move", "say", "where", "crash"):
                continue
            answers = client.send(f"<{name}/>")
            self.assertEqual(answers, [f'<error code="unknown">unknown message "{name}"</error>'])
        self.assertFalse(client.pair.client.closed)

    def test_send(self) -> None:
        """
        Messages are sent in the same format, with escaped values.
        """
        client = Connected(XMLPlayer)
        client.protocol.send("at", element("b", c='"'), who=1, x=None, text="<a>")
        self.assertEqual(client.send(), ['<at who="1">&lt;a&gt;<b c="&quot;"/></at>'])
        self.assertRaises(ValueError, client.protocol.send, "at", text="\0")
        self.assertRaises(TypeError, client.protocol.send, "at", x=[])


class JSONTests(SynchronousTestCase):
    """
    L{JSONDispatchProtocol}.
    """

    def test_calls(self) -> None:
        """
        Each value must have the type of the parameter.
        """
        client = Connected(JSONPlayer)
        for message, call in (
            ('{"type": "move", "x": 3}', ("move", 3, 7)),
            ('{"x": 3, "y": -4, "type": "move"}', ("move", 3, -4)),
            ('{"type": "raw", "value": {"a": [1, null]}}', ("raw", {"a": [1, None]})),
            ('{"type": "raw", "value": null}', ("raw", None)),
            (
                '{"type":"j#jr","number":3,"flag":false,"words":"\\u0000","color":2,"limit":null}',
                ("all", 3.0, False, "\0", Color.TWO, None, None),
            ),
        ):
            self.assertEqual(client.calls(message), [call], message)

    def test_errors(self) -> None:
        """
        A C{bool} is not an C{int}, and text is not a number.
        """
        client = Connected(JSONPlayer)
        for value in ("true", '"3"', "3.0", "null", "[]", "{}", "9223372036854775808"):
            answers = client.send(f'{{"type": "move", "x": {value}}}')
            self.assertEqual(
                [json.loads(answer) for answer in answers],
                [{"type": "error", "code": "parameter", "text": "move: x must be an integer"}],
            )
        start = '{"type": "all", "number": 1, "flag": true, "words": "", '
        for field in ('"color": true', '"color": "2"', '"color": []', '"level": "1"', '"a": 1'):
            [answer] = client.send(start + field + "}")
            self.assertEqual(json.loads(answer)["code"], "parameter")
        for message in (
            '{"type": "all", "number": "1"}',
            '{"type": "all", "number": true}',
            '{"type": "all", "number": 1, "flag": 1}',
            '{"type": "say", "text": 1}',
        ):
            [answer] = client.send(message)
            self.assertEqual(json.loads(answer)["code"], "parameter")

    def test_malformed(self) -> None:
        """
        A message that is not an object, or has no name, is answered with an error.
        """
        client = Connected(JSONPlayer)
        for message in ("", "[]", '{"x": 1}', '{"type": 1}', '{"type": null}', "[" * 100_000):
            [answer] = client.send(message)
            self.assertEqual(json.loads(answer)["code"], "malformed")

    def test_nameKey(self) -> None:
        """
        C{nameKey} is the key of the name, and cannot be a parameter.
        """

        class Other(JSONDispatchProtocol):
            nameKey = "cmd"

            @handler
            def go(self, type: str) -> None:
                self.send("went", type=type)

        client = Connected(Other)
        self.assertEqual(client.send('{"cmd": "go", "type": "a"}'), ['{"cmd":"went","type":"a"}'])
        self.assertRaises(ValueError, client.protocol.send, "went", cmd=1)
        with self.assertRaisesRegex(TypeError, r"Wrong\.go: the parameter type must have another"):

            class Wrong(JSONDispatchProtocol):
                @handler
                def go(self, type: str) -> None:
                    pass

    def test_send(self) -> None:
        """
        Values of JSON and members of enums are sent; others are refused.
        """
        client = Connected(JSONPlayer)
        client.protocol.send("at", x=None, color=Color.RED, level=Level.LOW, more=[1.5, "é\0"])
        self.assertEqual(
            client.send(),
            ['{"type":"at","x":null,"color":"red","level":1,"more":[1.5,"é\\u0000"]}'],
        )
        self.assertRaises(ValueError, client.protocol.send, "at", x=float("nan"))
        self.assertRaises(TypeError, client.protocol.send, "at", x=b"")


class XtTests(SynchronousTestCase):
    """
    L{XtDispatchProtocol}.
    """

    def test_calls(self) -> None:
        """
        The fields are the parameters, in order.
        """
        client = Connected(XtPlayer)
        for message, call in (
            ("%xt%s%move%3%4%", ("move", 3, 4)),
            ("%xt%z%move%3%", ("move", 3, 7)),
            ("%xt%s%say%%", ("say", "")),
            ("%xt%s%where%5%", ("where", 5)),
            ("%xt%s%j#jr%.5%1%a b%red%1%", ("all", 0.5, True, "a b", Color.RED, Level.LOW, 3)),
        ):
            self.assertEqual(client.calls(message), [call], message)

    def test_errors(self) -> None:
        """
        A message that does not fit is answered with one error.
        """
        client = Connected(XtPlayer)
        for message, answer in (
            ("%xt%s%move%", "%xt%error%parameter%move: x is missing%"),
            ("%xt%s%move%%", "%xt%error%parameter%move: x must be an integer%"),
            ("%xt%s%move%1%2%3%", "%xt%error%parameter%move: more than 2 parameters%"),
            ("%xt%s%secret%", '%xt%error%unknown%unknown message "secret"%'),
            ("%xt%s%", "%xt%error%malformed%the message has too few fields%"),
            ("<move/>", "%xt%error%malformed%the message does not begin with xt%"),
        ):
            self.assertEqual(client.send(message), [answer])

    def test_client(self) -> None:
        """
        A client sends the extension, and receives messages without it.
        """

        class XtClient(XtPlayer):
            isClient = True

        client = Connected(XtClient)
        client.protocol.send("move", 3, 4)
        self.assertEqual(client.send(), ["%xt%s%move%3%4%"])
        self.assertEqual(client.calls("%xt%move%3%4%"), [("move", 3, 4)])

    def test_send(self) -> None:
        """
        A value that cannot be escaped is refused.
        """
        client = Connected(XtPlayer)
        client.protocol.send("at", 1, True, Color.RED)
        self.assertEqual(client.send(), ["%xt%at%1%true%red%"])
        for value in ("100%", "\0", float("inf")):
            self.assertRaises(ValueError, client.protocol.send, "at", value)
        self.assertRaises(TypeError, client.protocol.send, "at", None)


class SmartFoxTests(SynchronousTestCase):
    """
    L{SmartFoxProtocol}.
    """

    def test_calls(self) -> None:
        """
        System messages call the handler of their action, with the values of all elements.
        C{%xt%} messages have a room.
        """
        client = Connected(FoxPlayer)
        for message, call in (
            (
                "<msg t='sys'><body action='move'><a x='3'><y><![CDATA[4]]></y></a></body></msg>",
                ("move", 3, 4),
            ),
            ("<msg t='sys'><body action='where' r='5'></body></msg>", ("where", 5)),
            ("<msg t='sys'><body action='where'/></msg>", ("where", -1)),
            ("<msg t='sys'><body action='say' r='1'><text></text></body></msg>", ("say", "")),
            ("<msg t='xt'><body action='say' r='1'><![CDATA[<a/>]]></body></msg>", ("say", "<a/>")),
            ("%xt%s%where%5%", ("where", 5)),
            ("%xt%s%move%-1%3%4%", ("move", 3, 4)),
            ("%xt%s%move%x%3%4%5%", ("move", 3, 4)),
        ):
            self.assertEqual(client.calls(message), [call], message)

    def test_errors(self) -> None:
        """
        A message that does not fit is answered with one error.
        """
        client = Connected(FoxPlayer)
        for message, code in (
            ("<msg/>", "malformed"),
            ("<a><body action='move'/></a>", "malformed"),
            ("<msg><body/></msg>", "malformed"),
            ("<msg><a action='move'/></msg>", "malformed"),
            ("<msg><body action='move'/><body action='move'/></msg>", "malformed"),
            ("<msg", "malformed"),
            ("", "malformed"),
            ("%xt%s%move%", "malformed"),
            ("<msg><body action='move'><a x='1'/><b x='1'/></body></msg>", "parameter"),
            ("<msg><body action='where' r='a'/></msg>", "parameter"),
            ("%xt%s%where%a%", "parameter"),
            ("<msg><body action='secret'/></msg>", "unknown"),
            ("%xt%s%secret%-1%", "unknown"),
        ):
            [answer] = client.send(message)
            self.assertTrue(answer.startswith(f"%xt%error%-1%{code}%"), (message, answer))

    def test_send(self) -> None:
        """
        System messages have a body, and C{%xt%} messages a room.
        """
        client = Connected(FoxPlayer)
        client.protocol.sendSystem("joinOK", element("pid", id=0), room=3)
        client.protocol.sendSystem("dbg", text="<")
        client.protocol.send("jr", 1, room=7)
        client.protocol.send("h")
        self.assertEqual(
            client.send(),
            [
                '<msg t="sys"><body action="joinOK" r="3"><pid id="0"/></body></msg>',
                '<msg t="sys"><body action="dbg" r="0">&lt;</body></msg>',
                "%xt%jr%7%1%",
                "%xt%h%-1%",
            ],
        )


class ErrorTests(SynchronousTestCase):
    """
    Errors are logged, and limited.
    """

    def test_log(self) -> None:
        """
        Each kind of error of a handler is logged once per connection, with cut and escaped text.
        """
        client = Connected(JSONPlayer)
        messages = ({"type": "move"}, {"type": "\n\u202e" * 1000}, {"type": "say", "text": 1})
        with capturedLogs() as events:
            for _ in range(3):
                client.send("x", *map(json.dumps, messages))
        lines = [str(event["problem"]) for event in events if "problem" in event]
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[1], "move: x is missing")
        for line in lines:
            self.assertTrue(line.isprintable())
            self.assertLess(len(line), 120)

    def test_handlerFails(self) -> None:
        """
        An exception of a handler is that of C{messageReceived}.
        """
        client = Connected(XMLPlayer)
        self.assertRaises(ZeroDivisionError, client.protocol.messageReceived, "<crash/>")

    def test_result(self) -> None:
        """
        C{messageReceived} returns the result of the handler, such as a coroutine.
        """

        class Async(XMLDispatchProtocol):
            @handler
            async def go(self, x: int) -> int:
                return x

        protocol = Connected(Async).protocol
        coroutine = protocol.messageReceived("<go x='3'/>")
        with self.assertRaises(StopIteration) as caught:
            coroutine.send(None)
        self.assertEqual(caught.exception.value, 3)
        protocol = Connected(JSONPlayer).protocol
        message = '{"type": "all", "number": 1, "flag": true, "words": ""}'
        self.assertEqual(protocol.messageReceived(message), "done")

    def test_unknown(self) -> None:
        """
        C{unknownReceived} receives the messages without a handler.
        """

        class Forwarding(XMLDispatchProtocol):
            def unknownReceived(self, name: str, message: str) -> str:
                self.sendMessage(message)
                return name

        client = Connected(Forwarding)
        self.assertEqual(client.send("<a b='1'/>"), ["<a b='1'/>"])
        self.assertEqual(client.protocol.messageReceived("<a/>"), "a")

    def test_maxMalformed(self) -> None:
        """
        A client that sends too many malformed messages is disconnected.
        """
        client = Connected(XMLPlayer)
        self.assertEqual(len(client.send(*["x"] * _MAX_MALFORMED)), _MAX_MALFORMED)
        self.assertFalse(client.pair.client.closed)
        self.assertEqual(client.send("x", "<move x='1'/>"), [])
        self.assertTrue(client.pair.client.closed)
        self.assertEqual(client.protocol.calls, [])

    def test_noLoop(self) -> None:
        """
        Errors are not answered: two peers do not send errors to each other forever.
        """
        for one, other in (
            (XMLPlayer, XMLPlayer),
            (XMLPlayer, JSONPlayer),
            (JSONPlayer, XtPlayer),
            (FoxPlayer, XMLPlayer),
        ):
            network = MemoryNetwork()
            pair = connectedPair(
                XMLSocketFactory(one),
                XMLSocketFactory(other),
                network=network,
            )
            for message in ("x", "<q/>", '{"type": "q"}', "%xt%q%q%", "%xt%q%q%-1%"):
                pair.client.sendMessage(message)
            network.flush()
        client = Connected(XMLPlayer)
        self.assertEqual(client.send("<error code='unknown'>a</error>"), [])

        class Own(XMLDispatchProtocol):
            @handler
            def error(self, number: int) -> None:
                pass

        self.assertEqual(Connected(Own).send("<error number='a'/>"), [])


class DefinitionTests(SynchronousTestCase):
    """
    Handlers are checked when their class is defined.
    """

    def refused(self, words: str, define: Callable[[], object]) -> None:
        problem = self.assertRaises(TypeError, define)
        self.assertIn(words, str(problem))

    def define(self, function: Callable[..., Any], name: str = "go") -> type[XMLDispatchProtocol]:
        return type("Player", (XMLDispatchProtocol,), {name: function})

    def test_signatures(self) -> None:
        """
        An error names the class, the method and the parameter.
        """

        def noType(self: Any, x) -> None:  # type: ignore[no-untyped-def]
            pass

        def wrongType(self: Any, x: list[int]) -> None:
            pass

        def union(self: Any, x: int | str) -> None:
            pass

        def none(self: Any, x: None) -> None:
            pass

        def many(self: Any, *x: int) -> None:
            pass

        def named(self: Any, **x: int) -> None:
            pass

        def positional(self: Any, x: int, /) -> None:
            pass

        def unresolved(self: Any, x: "Missing") -> None:  # type: ignore[name-defined] # noqa: F821
            pass

        def noSelf() -> None:
            pass

        def listSelf(*self: Any) -> None:
            pass

        for function, words in (
            (noType, "Player.go: the parameter x must have a type: int, float, bool, str"),
            (wrongType, "Player.go: parameter x: the annotation list[int] is not supported"),
            (union, "Player.go: parameter x: the annotation int | str is not supported"),
            (none, "Player.go: parameter x: the annotation NoneType is not supported"),
            (many, "Player.go: a handler cannot have *args, **kwargs or positional-only"),
            (named, "Player.go: a handler cannot have *args, **kwargs or positional-only"),
            (positional, "Player.go: a handler cannot have *args, **kwargs or positional-only"),
            (unresolved, "Player.go: an annotation cannot be evaluated: name 'Missing'"),
            (noSelf, "Player.go: the first parameter of a handler must be self"),
            (listSelf, "Player.go: the first parameter of a handler must be self"),
        ):
            exposed: Any = handler(function)
            self.refused(words, lambda exposed=exposed: self.define(exposed))  # type: ignore[misc]

    def test_enums(self) -> None:
        """
        The values of an enum must be distinct texts or integers.
        """

        class Bytes(Enum):
            A = b"a"

        class Boolean(Enum):
            A = True

        class Same(Enum):
            A = 1
            B = "1"

        for enum, words in (
            (Bytes, "the value of Bytes.A must be a str or an int"),
            (Boolean, "the value of Boolean.A must be a str or an int"),
            (Same, "two values of Same are equal as text, such as 1 and '1'"),
        ):

            @handler
            def go(self: Any, x: Any) -> None:
                pass

            go.__annotations__["x"] = enum
            self.refused(f"Player.go: parameter x: {words}", lambda: self.define(go))

    def test_returnType(self) -> None:
        """
        The annotation of the result is not evaluated.
        """

        @handler
        def go(self: Any, x: "int") -> "Missing":  # type: ignore[name-defined] # noqa: F821
            return x

        self.assertEqual(self.define(go)()._handlers["go"].parameters[0].name, "x")

    def test_decorated(self) -> None:
        """
        Only functions can be decorated, and the name is not empty.
        """
        wrong: list[Any] = [staticmethod(len), property(len), 3, int]
        for each in wrong:
            self.refused("@handler must decorate a method", lambda each=each: handler(each))  # type: ignore[misc]
            self.refused("@handler must", lambda each=each: handler("a")(each))  # type: ignore[misc]

        def go(self: Any) -> None:
            pass

        self.refused("must not be empty", lambda: handler("")(go))
        self.refused(
            "Player.go: a handler must be a method", lambda: self.define(staticmethod(handler(go)))
        )

    def test_duplicate(self) -> None:
        """
        Two methods cannot handle the same message.
        """
        with self.assertRaisesRegex(
            TypeError, r'Wrong: the methods move and step are both handlers of "move"'
        ):

            class Wrong(XMLPlayer):
                @handler("move")
                def step(self) -> None:
                    pass

    def test_ownNames(self) -> None:
        """
        A handler cannot override a method of this package, of Twisted or of C{object}.
        """

        def go(self: Any) -> None:
            pass

        self.assertIn("send", self.define(handler("send")(go), "take")._handlers)
        for name in ("send", "connectionLost", "sendMessage", "logPrefix", "__init__", "__eq__"):
            self.refused(
                f"Player.{name}: a handler cannot override ",
                lambda name=name: self.define(handler(go), name),  # type: ignore[misc]
            )

    def test_inheritance(self) -> None:
        """
        An override is a handler with its own parameters; a new decorator replaces the names,
        and C{None} removes the handler.
        """

        class Derived(XMLPlayer):
            def move(self, x: int, y: int = 8, z: int = 9) -> None:
                self.calls.append(("moved", x, y, z))

            @handler("shout")
            def say(self, text: str) -> None:
                self.calls.append(("shout", text))

            where = None  # type: ignore[assignment]

        client = Connected(Derived)
        self.assertEqual(client.calls("<move x='1'/>"), [("moved", 1, 8, 9)])
        self.assertEqual(client.calls("<shout>a</shout>"), [("shout", "a")])
        for name in ("say", "where"):
            self.assertIn('"unknown"', client.send(f"<{name}/>")[0])
        with self.assertRaisesRegex(TypeError, r"Wrong\.move: the parameter x must have a type"):

            class Wrong(XMLPlayer):
                def move(self, x, y=7):  # type: ignore[no-untyped-def]
                    pass

    def test_order(self) -> None:
        """
        A room protocol, or another protocol that handles the messages, must be the second base.
        """
        for base in (XMLRoomProtocol, PathRoomProtocol, EchoProtocol):
            text = f"O: put XMLDispatchProtocol before {base.__name__}: class O(XMLDispatchProtocol"
            self.refused(text, lambda base=base: type("O", (base, XMLDispatchProtocol), {}))  # type: ignore[misc]
            type("O", (XMLDispatchProtocol, base), {})

        class Logging(XMLSocketProtocol):
            def messageReceived(self, message: str) -> Any:
                return super().messageReceived(message)

        class Player(Logging, XMLPlayer): ...

        self.assertEqual(Connected(Player).calls("<move x='1'/>"), [("move", 1, 7)])

    def test_override(self) -> None:
        """
        An override of C{messageReceived} that cannot call the original method is refused if the
        class has handlers.
        """

        def messageReceived(self: Any, message: str) -> None:
            self.sendMessage(message)

        text = "Wrong: Wrong.messageReceived replaces the method that calls the handlers: override"
        overrides = {"messageReceived": messageReceived}
        self.refused(text, lambda: type("Wrong", (XMLPlayer,), overrides))
        self.refused(
            "call super().handleLine(line)",
            lambda: type("Wrong", (XMLPlayer, XMLRoomProtocol), {"handleLine": messageReceived}),
        )
        type("Right", (XMLDispatchProtocol,), overrides)

        class Explicit(XMLPlayer):
            async def messageReceived(self, message: str) -> None:
                def forward() -> Any:
                    return XMLPlayer.messageReceived(self, message)

                forward()

    def test_noHandlers(self) -> None:
        """
        A factory logs a warning if the class has no handlers.
        """

        class Empty(XMLDispatchProtocol): ...

        class Unknown(XMLDispatchProtocol):
            def unknownReceived(self, name: str, message: str) -> None: ...

        for cls, expected in [
            (Empty, [(LogLevel.warn, "Empty has no handlers: decorate its methods with @handler")]),
            (Unknown, []),
            (XMLPlayer, []),
        ]:
            with capturedLogs() as logs:
                XMLSocketFactory(cls)
            found = [(each["log_level"], formatEvent(each)) for each in logs]
            self.assertEqual(found, expected)

    def test_parentheses(self) -> None:
        """
        C{@handler()} is the same as C{@handler}.
        """

        def go(self: Any) -> None: ...

        self.assertEqual(set(self.define(handler()(go))._handlers), {"go"})

    def test_sentName(self) -> None:
        """
        The name of a sent message must be text.
        """
        text = "the name must be text, not {'type': 'moved'}: send"
        for cls in (XMLPlayer, JSONPlayer, XtPlayer, FoxPlayer):
            protocol: Any = cls()
            self.refused(text, lambda: protocol.send({"type": "moved"}))  # noqa: B023
        self.refused(text, lambda: protocol.sendSystem({"type": "moved"}))

    def test_mixin(self) -> None:
        """
        The handlers of a class without a format are not shared between its subclasses.
        """
        self.assertEqual(set(XMLPlayer._handlers), set(JSONPlayer._handlers))
        self.assertEqual(XMLDispatchProtocol._handlers, {})


class RoomTests(SynchronousTestCase):
    """
    Handlers in a class that is also a room protocol.
    """

    def test_coroutine(self) -> None:
        """
        A handler can be a coroutine function. Later messages wait for it, and its
        C{LobbyError} is sent to the client.
        """
        clock = Clock()

        class Slow(XMLDispatchProtocol, XMLRoomProtocol):
            @handler
            async def go(self, x: int) -> None:
                await deferLater(clock, x)
                raise LobbyError("tired", f"after {x}")

        network = MemoryNetwork()
        factory = RoomFactory(Slow, Lobby(clock=clock))
        peer = connectedPair(Peer(), factory, network=network).client
        peer.send(b'<go x="1"/>\0<who/>\0')
        network.flush()
        self.assertEqual(peer.received, b"")
        clock.advance(1)
        network.flush()
        self.assertEqual(
            peer.received,
            b'<error code="tired">after 1</error>\0'
            b'<error code="room">you are not in a room</error>\0',
        )

    def test_room(self) -> None:
        """
        The messages with a handler are delivered to it, and all others to the room.
        """

        class Player(XMLDispatchProtocol, XMLRoomProtocol):
            @handler
            def roll(self, sides: int = 6) -> None:
                self.send("rolled", sides=sides)

            @handler
            def leave(self) -> None:
                self.send("staying")

        factory = RoomFactory(Player, Lobby())
        network = MemoryNetwork()
        one, two = (connectedPair(Peer(), factory, network=network).client for _ in "ab")
        one.send(b"<roll/>\0<join room='a' name='Ann'/>\0")
        two.send(b"<join room='a' name='Ben'/>\0")
        network.flush()
        self.assertTrue(one.received.startswith(b'<rolled sides="6"/>\0<welcome room="a"'))
        for each in (one, two):
            each.segments.clear()
        one.send(b"hello\0 <roll sides='x'/>\0<leave/>\0<rolling/>\0<roll\xff/>\0<say>a</say>\0")
        network.flush()
        answers = one.received.split(b"\0")
        self.assertEqual(
            answers[:2],
            [b'<error code="parameter">roll: sides must be an integer</error>', b"<staying/>"],
        )
        self.assertIn(b'<error code="xml">', answers[2])
        self.assertEqual(two.received, b'hello\0<rolling/>\0<say from="Ann">a</say>\0')

    def test_otherFormats(self) -> None:
        """
        Any format can be combined with any room protocol.
        """

        class Player(JSONDispatchProtocol, PathRoomProtocol):
            @handler
            def roll(self, sides: int = 6) -> None:
                self.send("rolled", sides=sides)

        factory = RoomFactory(Player, Lobby())
        network = MemoryNetwork()
        one, two = (connectedPair(Peer(), factory, network=network).client for _ in "ab")
        for each in (one, two):
            each.send(b"garden\0")
        network.flush()
        one.send(b'{"type":"roll"}\0{"type":"roll","sides":"a"}\0{"type":"say"}\0{"type":\0')
        network.flush()
        self.assertEqual(
            one.received,
            b'{"type":"rolled","sides":6}\0'
            b'{"type":"error","code":"parameter","text":"roll: sides must be an integer"}\0',
        )
        self.assertEqual(two.received, b'{"type":"say"}\0{"type":\0')


numbers = st.integers(-(2**63), 2**63 - 1)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%\ufffe\uffff"))
parameters = st.fixed_dictionaries(
    {
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(),
        "words": words,
        "color": st.sampled_from(Color),
        "level": st.just(Level.LOW),
        "limit": numbers,
    }
)


class PropertyTests(SynchronousTestCase):
    """
    Properties of all formats.
    """

    def sentTo(self, receiver: type[Any], message: str) -> list[tuple[Any, ...]]:
        """
        Return the calls for a message.
        """
        return Connected(receiver).calls(message)

    @given(parameters)
    def test_roundTrip(self, given: dict[str, Any]) -> None:
        """
        A sent message is delivered with the same values.
        """
        given = {each.name: given[each.name] for each in XMLPlayer._handlers["all"].parameters}
        expected = [("all", *given.values())]

        class XtSender(XtDispatchProtocol):
            isClient = True

        class FoxSender(SmartFoxProtocol):
            isClient = True

        sent = XMLDispatchProtocol().formatMessage("all", **given)
        self.assertEqual(self.sentTo(XMLPlayer, sent), expected)
        sent = JSONDispatchProtocol().formatMessage("all", **given)
        self.assertEqual(self.sentTo(JSONPlayer, sent), expected)
        sent = XtSender().formatMessage("all", *given.values())
        self.assertEqual(self.sentTo(XtPlayer, sent), expected)
        sent = FoxSender().formatMessage("all", *given.values(), room=3)
        self.assertEqual(self.sentTo(FoxPlayer, sent), expected)
        sent = FoxSender().formatSystem("all", element("a", **given))
        self.assertEqual(self.sentTo(FoxPlayer, sent), expected)

    @given(
        st.text(st.sampled_from("0123456789+-.eE_ xXnaif٣²\t")) | st.text() | st.just("9" * 5000)
    )
    def test_numbers(self, text: str) -> None:
        """
        Text is a number only in ASCII, and within limits.
        """
        parameters = XMLPlayer._handlers
        for name, kind in (("move", int), ("all", float)):
            convert = parameters[name].parameters[0].converter.fromText
            try:
                found = convert(text)
            except ValueError:
                continue
            self.assertTrue(text.isascii())
            self.assertEqual(found, kind(text))
            self.assertEqual(convert(formatValue(found)), found)
            self.assertLess(len(text), 65)

    @given(
        st.sampled_from([XMLPlayer, JSONPlayer, XtPlayer, FoxPlayer]),
        st.binary()
        | st.text().map(str.encode)
        | st.text().map(lambda text: f"<move x={quoteattr(text)}/>".encode())
        | st.dictionaries(st.sampled_from(["type", "x", "y"]), st.text() | st.integers()).map(
            lambda fields: json.dumps({"type": "move", **fields}).encode()
        )
        | st.text(st.sampled_from("%xtsmove1")).map(lambda text: f"%xt%s%{text}%".encode()),
    )
    def test_any(self, player: type[Any], message: bytes) -> None:
        """
        Any bytes are delivered, or answered with an error; nothing is raised.
        """
        client = Connected(player)
        # The first bytes of a connection can be those of another protocol.
        client.send("")
        answers = client.send(message)
        self.assertFalse(client.pair.client.closed)
        messages = message.count(b"\0") + 1
        ignored = sum(b"error" in each for each in message.split(b"\0"))
        self.assertLessEqual(len(answers) + len(client.protocol.calls), messages)
        self.assertGreaterEqual(len(answers) + len(client.protocol.calls), messages - ignored)
