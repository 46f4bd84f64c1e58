"""
Every parser of C{wire} and C{rooms} takes time in proportion to its input, however
the input is built and split. Steps are counted, not time.

L{tests.test_regexsteps} does the same for the inside of regular expressions, and
L{tests.rooms.test_forging} has the number of calls for room messages.
"""

import ipaddress
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from openfl_twisted.brokers import brokerurl
from openfl_twisted.rooms import vocabulary
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire import (
    compression,
    dialects,
    envelope,
    firstbytes,
    forwarded,
    framing,
    httprequest,
    lines,
    messages,
    nats,
    proxyheader,
    strictjson,
    strictxml,
    telnet,
    text,
    xt,
)
from openfl_twisted.wire.amf import codec, flex
from openfl_twisted.wire.amf.values import ClassRegistry
from openfl_twisted.wire.policy import address, file, origins, request, rule
from openfl_twisted.wire.websocket.frames import WebSocketFrames
from openfl_twisted.wire.websocket.handshake import checkUpgrade
from openfl_twisted.wire.x509 import _costs as costs
from openfl_twisted.wire.x509 import _der as der
from openfl_twisted.wire.x509 import _servernames as servernames
from tests.costs import Costs
from tests.effort import profiled

PACKAGE = Path(openfl_twisted.__file__).parent

# Maximum ratio of the steps for four times the input: 4 is linear, 16 is quadratic.
GROWTH = 6.0

# Steps per byte that are always allowed.
PER_BYTE = 10

# Steps that are independent of the length.
LEAST = 400


class Input(bytes):
    """
    Input that counts its bytes that slices copy and C{find} searches.
    """

    seen = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, bytes):
            Input.seen += len(found)
        return found

    def find(self, wanted: Any, start: Any = None, end: Any = None) -> int:
        position = super().find(wanted, start, end)
        Input.seen += (len(self) if position < 0 else position) - (start or 0)
        return position


class Steps(Costs):
    """
    The steps of a parser: lines and calls in Python, and the lengths that methods
    of bytes and text process.

    @ivar lines: number of executed lines.
    """

    lines = 0

    def note(self, frame: FrameType, event: str, argument: Any) -> None:
        """
        Count a call for C{sys.setprofile}. L{Input} counts the calls of C{find}.
        """
        if event != "c_call" or argument.__name__ != "find":
            super().note(frame, event, argument)

    def trace(self, frame: FrameType, event: str, about: Any) -> Any:
        """
        Count a line for C{sys.settrace}.
        """
        self.lines += event == "line"
        return self.trace


def stepsOf(work: Callable[[], object]) -> int:
    """
    Count the steps of a parser, including errors for invalid input.
    """
    steps = Steps()
    Input.seen = 0
    tracing = sys.gettrace()
    with profiled(steps.note):
        sys.settrace(steps.trace)
        try:
            work()
        except (AttributeError, NameError, TypeError):
            # The parser was not called correctly.
            raise
        except Exception:
            # Parsers raise various errors, which other tests check.
            pass
        finally:
            sys.settrace(tracing)
    # Looking at a character in C takes a small part of the time of a line.
    return steps.lines + steps.calls + (steps.searched + Input.seen) // 32


class Parser(NamedTuple):
    """
    A parser, and its inputs.

    @ivar parse: parses chunks of a stream; one chunk if the parser does not
        support streams.
    @ivar units: parts of the input, which are repeated.
    @ivar most: maximum length of the input.
    """

    parse: Callable[[list[bytes]], object]
    units: list[bytes]
    most: int = 1 << 20


def whole(parse: Callable[[bytes], object]) -> Callable[[list[bytes]], object]:
    """
    Adapt a parser without streams.
    """
    return lambda chunks: parse(chunks[0] if len(chunks) == 1 else b"".join(chunks))


def decoded(parse: Callable[[str], object]) -> Callable[[list[bytes]], object]:
    """
    Adapt a parser of text.
    """
    return lambda chunks: parse(b"".join(chunks).decode("utf-8", "replace"))


def stream(make: Callable[[], Callable[[bytes], object]]) -> Callable[[list[bytes]], object]:
    """
    Adapt a parser of streams.
    """

    def parse(chunks: list[bytes]) -> None:
        receive = make()
        for chunk in chunks:
            found = receive(chunk)
            if isinstance(found, Iterator):
                for _ in found:
                    pass

    return parse


def allDialects(chunks: list[bytes]) -> None:
    """
    Cut a stream in all dialects.
    """
    for name, dialect in dialects.DIALECTS.items():
        if name.startswith("amf") and len(chunks) > 1:
            # An incomplete value of up to 1,024 bytes is decoded again with each chunk, which is
            # most of these inputs; tests/wire/test_dialects.py counts the decoded bytes.
            continue
        stream(lambda dialect=dialect: dialect.cutter().feed)(chunks)  # type: ignore[misc]


def readHead(data: bytes) -> None:
    """
    Parse the head of an HTTP request.
    """
    checkUpgrade(httprequest.parseHead(data))


def readData(data: bytes) -> None:
    """
    Read texts until the end.
    """
    reader = ByteArray(data)
    while True:
        reader.readUTF()


NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
FLEX = ClassRegistry()
flex.registerClasses(FLEX)
POLICY = file.PolicyFile.forPort(80)
HEAD = b"GET / HTTP/1.1\r\n"
MASK = bytes(4)
XML = [
    b"<a>",
    b"</a>",
    b"<a/>",
    b"<say>",
    b"</say>",
    b" b='c'",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"&lt;",
    b"&#65;",
    b"\n",
    b"x",
    b"]",
    b"<?p?>",
    b"<!DOCTYPE a [",
    b"<!ENTITY a 'b'>",
    b" xmlns:a='b'",
    b"a:b='' ",
    b"=",
    b"'",
    b"<",
    b">",
    b"\xc3\xa9",
    b"\xff",
]
RULES = [
    b"<cross-domain-policy>",
    b"<allow-access-from domain='*' to-ports='*'/>",
    b"</cross-domain-policy>",
    b"<allow-access-from domain='*.a.b' to-ports='1,2-9'/>",
    b"<allow-access-from domain='",
    b"a.",
    b"' to-ports='",
    b"1,",
    b"'/>",
    *XML,
]
AMF = [
    b"\x09\x03\x01",
    b"\x0a\x0b\x01",
    b"\x0a\x13\x01\x03a",
    b"\x06\x03a",
    b"\x06\x00",
    b"\x09\x00",
    b"\x0a\x01",
    b"\x01",
    b"\x11\x03\x00",
    b"\x0c\x03a",
    b"\x04\x01",
    b"\x05\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x03a\x01",
    b"\x10\x03\x00\x01",
]
AMF0 = [
    b"\x03\x00\x01a",
    b"\x05",
    b"\x0a\x00\x00\x00\x01",
    b"\x08\x00\x00\x00\x01\x00\x01a",
    b"\x00\x00\x09",
    b"\x02\x00\x01a",
    b"\x11\x01",
    b"\x00\x01a\x05",
    b"\x07\x00\x00",
    b"\x10\x00\x01a",
]

PARSERS = {
    "amf.codec": Parser(whole(codec.decode), AMF),
    "amf._amf0": Parser(whole(lambda data: codec.decode(data, objectEncoding=0)), AMF0),
    "amf._amf3": Parser(whole(lambda data: codec.decode(b"\x09\x87\xff\xff\xff\x01" + data)), AMF),
    "lineblocks": Parser(
        stream(lambda: nats.NATSReader(1000).receive),
        [b"MSG a 1 1\r\n", b"x", b"\r", b"\n", b"\r\n"],
    ),
    "brokerurl": Parser(
        decoded(lambda url: brokerurl.parseBrokerURL("redis://" + url)),
        [b"a", b"@", b":", b"/", b"?", b"&", b"prefix=a", b"%41", b"#", b"[", b"]"],
        4000,
    ),
    "compression": Parser(
        whole(lambda data: compression.uncompress(data, "deflate", 1 << 16)),
        [b"\x00", b"\x4b", b"\xed"],
    ),
    "dataio": Parser(whole(readData), [b"\x00\x01", b"a", b"\x00"]),
    "x509._costs": Parser(
        whole(lambda data: costs.findExcess([data])),
        [b"\x30\x03\x02\x01\x01", b"\x05\x00", b"\x30\x82\x20\x00", b"\x04\x00"],
    ),
    "x509._der": Parser(
        whole(lambda data: list(der.elements(data, (0, 0, len(data))))),
        [b"\x04\x01a", b"\x04\x00", b"\x30\x81\x01a"],
    ),
    "envelope": Parser(whole(envelope.decode), [b"\x01", b"\x00"]),
    "firstbytes": Parser(
        whole(firstbytes.recognize),
        [b" ", b"<", b"GET ", b"\x16\x03", b"<policy-file-request", b"/"],
    ),
    "forwarded": Parser(
        decoded(lambda value: forwarded.clientOf({"forwarded": value}, "127.0.0.1", NETWORKS)),
        [b"for=127.0.0.1", b",", b";", b'"', b"\\", b" ", b"a=", b'""', b'"\\""'],
        16384,
    ),
    "amf.flex": Parser(
        whole(lambda data: codec.decode(b"\x0a\x07\x07DSK" + data, registry=FLEX)),
        [*AMF, b"\xff", b"\x80", b"\x00", b"\x0a\x07\x07DSC", b"\x0a\x01"],
    ),
    "lines": Parser(
        stream(lambda: lines.LineSplitter("auto").receive), [b"a", b"\r", b"\n", b"\0"]
    ),
    "messages": Parser(
        stream(lambda: messages.MessageSplitter().receive), [b"a", b"\0", b"abc" * 200]
    ),
    "nats": Parser(
        stream(lambda: nats.NATSReader().receive),
        [b"INFO {", b"[", b'"a":', b"}", b"\r\n", b"PING\r\n", b"-ERR "],
    ),
    "policy.origins": Parser(
        decoded(origins.originsOf(POLICY, 80)),
        [b"https", b"://", b"a", b".", b":", b"1", b"[", b"]"],
    ),
    "policy.address": Parser(
        decoded(lambda url: address.policyAddress("xmlsocket://" + url)),
        [b"a", b".", b":", b"1", b"[", b"]", b"@", b"/", b"%"],
    ),
    "policy.file": Parser(
        whole(lambda data: file.PolicyFile.fromXML(b"<cross-domain-policy>" + data).problems(80)),
        RULES,
        file.MAX_POLICY_LENGTH,
    ),
    "policy.request": Parser(
        whole(lambda data: (request.isRequest(data), request.startsRequest(data))),
        [b" ", b"<policy-file-request", b"/", b">", b"\0"],
    ),
    "policy.rule": Parser(
        decoded(
            lambda ports: (
                rule.AccessRule("*." + ports, ports).refusal(ports, 1, secure=True, servedFrom=1),
                rule.portsMask(ports),
            )
        ),
        [b"1", b",", b"-", b" ", b"*", b"65535", b"."],
    ),
    "x509._servernames": Parser(
        decoded(servernames.ServerName),
        [b"a", b".", b"-", b"\xc3\xa9", b"\xcc\x80", b":", b"[", b"%", b"\xc2\xad"],
    ),
    "strictxml": Parser(whole(lambda data: strictxml.readElement(b"<a>" + data + b"</a>")), XML),
    "strictxml nodes": Parser(
        whole(lambda data: strictxml.readNodes(b"<a>" + data + b"</a>")), XML
    ),
    "strictjson": Parser(
        decoded(lambda text: strictjson.readObject('{"a":[' + text + "]}")),
        [b'"', b"\\", b"[", b"]", b"{", b"}", b'"a":', b"1", b",", b".", b"e", b"{},", b'"\\""'],
        16384,
    ),
    "framing": Parser(
        lambda chunks: [
            [*map(framing.FrameSplitter(each, 0).receive, chunks)]
            for each in framing.FRAMINGS.values()
        ],
        [b"\0", b"\r", b"\n", b"a", b"\x00\x02", b"\x00\x00\x00\x05"],
    ),
    "dialects": Parser(
        allDialects,
        [
            b"\0",
            b"\n",
            b"a",
            b"%",
            b"\x00\x02",
            b"\x00\x00\x00\x05",
            b"\x0a\x0b\x01",
            b"\x06\x03a",
        ],
        16384,
    ),
    "xt": Parser(decoded(lambda text: xt.split("%xt%" + text)), [b"%", b"a", b"xt%"]),
    "telnet": Parser(
        stream(lambda: telnet.TelnetReader().receive),
        [b"a", b"\xff", b"\xff\xfa", b"\xff\xf0", b"\xff\xfd\x01", b"\r"],
    ),
    "text": Parser(
        whole(lambda data: text.encodeUTF8(text.decodeUTF8(data))),
        [
            b"a",
            b"\xff",
            b"\xc3\xa9",
            b"\xed\xa0\x80",
            b"\xed\xb0\x80",
            b"\xf8\x80\x80\x80",
            b"\xc3",
        ],
    ),
    "vocabulary": Parser(decoded(vocabulary.parseRequest), XML),
    "websocket.frames": Parser(
        stream(lambda: WebSocketFrames(1 << 16).receive),
        [
            b"\x82\x81" + MASK + b"a",
            b"\x02\x81" + MASK + b"a",
            b"\x00\x81" + MASK + b"a",
            b"\x89\x80" + MASK,
            b"\x81",
        ],
    ),
    "httprequest": Parser(
        stream(lambda: httprequest.HeadCollector().receive),
        [HEAD, b"a: b\r\n", b"\r", b"\n", b"a", b": "],
        16384,
    ),
    "httprequest start": Parser(
        whole(lambda data: httprequest.startsRequest(b"GET " + data)),
        [b"/", b"http://", b"a", b"A+", b":", b" "],
        8192,
    ),
    "proxyheader": Parser(
        whole(lambda data: proxyheader.parseProxyHeader(data)),
        [b"PROXY TCP4 1.2.3.4", b" ", b"1", b"::", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xff"],
        8192,
    ),
    "websocket.handshake": Parser(
        whole(lambda data: readHead(HEAD + data + b"\r\n\r\n")),
        [b"a:\r\n", b"upgrade: a,", b"\r\n", b"a", b"host: b\r\n", b":"],
        16384,
    ),
}

# Modules without a parser.
OTHERS = {
    # Writers, types and decisions.
    "amf._amf3writer",
    "amf._members",
    "amf.values",
    "policy.decision",
    "chunkbuffer",
    "tokenbucket",
    "websocket.messages",
    "xmltext",
    # cryptography parses; what we do with it is in the tests of tls.
    "x509.certificates",
    "x509._paths",
    "x509._revocation",
    "x509._verifycodes",
}


class LinearTests(SynchronousTestCase):
    """
    Steps grow with the input, not with its square.
    """

    def test_complete(self) -> None:
        """
        The table contains every module of C{wire}.
        """
        wire = PACKAGE / "wire"
        modules = {
            ".".join(path.relative_to(wire).with_suffix("").parts)
            for path in wire.glob("**/*.py")
            if path.stem != "__init__"
        }
        self.assertEqual(modules - {name.partition(" ")[0] for name in PARSERS}, OTHERS)

    def test_counts(self) -> None:
        """
        Quadratic work is detected: nested loops, and a search of all data for each part.
        """

        def nested(data: bytes) -> None:
            for _ in data:
                for _ in data:
                    pass

        def searched(data: bytes) -> None:
            for position in range(len(data)):
                data.find(b"b", position)

        for parse in (nested, searched):
            self.assertRaises(
                self.failureException, self.check, Parser(whole(parse), []), b"a" * 400, 1
            )

    def check(self, parser: Parser, data: bytes, chunks: int) -> None:
        """
        Compare the steps for some input and for four times as much.
        """

        def steps(count: int) -> int:
            stream = Input(data * count)
            size = max(1, len(stream) // chunks) if chunks == 1 else chunks
            cut: list[bytes] = [Input(stream[at : at + size]) for at in range(0, len(stream), size)]
            return stepsOf(lambda: parser.parse(cut))

        # An error can end the shorter input early.
        few, many = max(steps(1), PER_BYTE * len(data)), steps(4)
        self.assertLessEqual(many, GROWTH * few + LEAST, (data[:80], chunks, few, many))

    @settings(deadline=None, max_examples=200)
    @given(st.data())
    def test_linear(self, draw: st.DataObject) -> None:
        """
        Four times the input takes about four times the steps, in one chunk and in many.
        """
        parser = draw.draw(st.sampled_from([*PARSERS.values()]))
        unit = b"".join(draw.draw(st.lists(st.sampled_from(parser.units), min_size=1, max_size=3)))
        count = max(1, min(600, parser.most // 4) // len(unit))
        self.check(parser, unit * count, draw.draw(st.sampled_from([1, 2, 7])))
