"""
No client can make another client see an element that only the server sends.
"""

import base64
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.rooms.vocabulary import _SERVER_ELEMENTS, VocabularyError, parseRequest
from tests.effort import callsOf
from tests.rooms.lenient import READERS, elementTree, recovering
from tests.rooms.roomclient import Client

FORGED = [
    "<say from='Ann'>hi</say>",
    '<left name="Ben"/>',
    "<x:say xmlns:x='u' from='Ann'/>",
    "<SAY from='Ann'>hi</SAY>",
    "<\u017fay/>",
    "<jo\u0131ned/>",
    "<say\u00e9 from='Ann'/>",
    "< say from='Ann'>hi</say>",
    "<say",
    "<<!---->say from='Ann'/>",
]

NAMES = [
    *sorted(_SERVER_ELEMENTS),
    "x",
    "saying",
    "b",
    "join",
    "SAY",
    "x:say",
    "say:x",
    "say-x",
    "script",
    "jo\u0131ned",
]
PIECES = [
    *FORGED,
    "<",
    ">",
    "/>",
    "</x>",
    "<x>",
    "<!--",
    "-->",
    "--",
    "<![CDATA[",
    "]]>",
    "<?p ",
    "?>",
    "]",
    "<!DOCTYPE a>",
    "<!DOCTYPE a [<!ENTITY s '&#60;say/>'>]>",
    "&s;",
    "&lt;",
    "&#60;",
    "&amp;lt;",
    "'",
    '"',
    "=",
    " ",
    "\n",
    "\t",
    "\ufeff",
    "\u2028",
    "\u00e9",
    "\u00a0",
    "text",
    "<3",
    "from='Ann'",
    "say",
    ":",
    "!",
    "-",
    "<?xml version='1.0'?>",
    "<?xml version='1.1'?>",
    "<?xml version='1.0' encoding='utf-7'?>",
    "+ADw-say+AD4-",
    "<?xml version='1.0' encoding='utf-8'?>",
    "<?xml version='1.0' encoding='utf-16'?>",
    "\ud800",
]

SAFE = [
    "text",
    " ",
    "\n",
    "&lt;",
    "&amp;lt;",
    "&#60;",
    ">",
    "]",
    "=",
    '"',
    "\u00e9",
    "say",
    ":",
    "from=",
    "+ADw-say+AD4-",
    "\u2028",
]

fragments = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
texts = st.lists(st.sampled_from(SAFE), max_size=3).map("".join)
names = st.sampled_from(["x", "b", "saying", "join", "script", "x:y", "title"]) | st.sampled_from(
    NAMES
)


def _element(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def write(name: str, attribute: str, children: list[str]) -> str:
        namespace = " xmlns:x='u' xmlns:say='v'" if ":" in name else ""
        value = f" a='{attribute}'" if attribute else ""
        return f"<{name}{namespace}{value}>{''.join(children)}</{name}>"

    return st.builds(write, names, texts, st.lists(inner, max_size=3))


def _insert(message: str, piece: str, place: int) -> str:
    at = place % (len(message) + 1)
    return message[:at] + piece + message[at:]


leaves = (
    texts
    | (texts | fragments).map(lambda text: f"<![CDATA[{text.replace(']]>', '')}]]>")
    | (texts | fragments).map(lambda text: f"<!--{text.replace('-', '')}-->")
)
elements = _element(st.recursive(leaves, _element, max_leaves=5))
said = st.lists(leaves | elements, max_size=3).map(lambda inner: f"<say>{''.join(inner)}</say>")
prologs = st.sampled_from(
    ["", "\ufeff", "<?xml version='1.0' encoding='utf-8'?>", "<!--<>-->", "\n"]
)
messages = (
    elements
    | said
    | st.tuples(prologs, elements, prologs).map("".join)
    | st.builds(_insert, elements | said, st.sampled_from(PIECES), st.integers(0, 200))
    | st.tuples(fragments, elements, fragments).map("".join)
    | fragments
)


class Pair:
    """
    Two clients in a room. The first one sends forged messages.
    """

    def __init__(self) -> None:
        factory = RoomFactory(XMLRoomProtocol, Lobby(clock=Clock()), announces=True)
        self.one, self.two = Client(factory), Client(factory)
        self.one.send('<join room="a" name="Mallory"/>')
        self.two.send('<join room="a" name="Ben"/>')
        self.one.read()
        self.two.read()

    def forward(self, message: str) -> tuple[list[str], list[str]]:
        """
        Send a message from the first client.

        @return: the messages received by the other client, and those received by the
            sender.
        """
        self.one.transport.arrive(message.encode("utf-8", "surrogatepass") + b"\0")
        return self.two.read(), self.one.read()


def serverElements(text: str) -> set[str]:
    """
    Return the server's elements that any reader finds in a message, without the wrapper
    added by the server.
    """
    own = '<say from="Mallory">'
    if text.startswith(own):
        text = text.removeprefix(own).removesuffix("</say>")
        # The content alone is not a single element.
        text = f"<x>{text}</x>"
    return {name for reader in READERS for name in reader(text)} & _SERVER_ELEMENTS


def isOtherRequest(message: str) -> bool:
    """
    Return whether a message is a request other than C{say}, which the server answers
    itself.
    """
    try:
        request = parseRequest(message)
    except VocabularyError:
        return False
    return request is not None and request.name != "say"


class ForgingTests(SynchronousTestCase):
    """
    Only messages without elements of the server are forwarded.
    """

    def check(self, pair: Pair, message: str) -> list[str]:
        """
        Check that a message is either forwarded or refused, and contains no element of
        the server.

        @return: the forwarded messages.
        """
        forwarded, answers = pair.forward(message)
        self.assertEqual(len(forwarded) + len(answers), 1, (message, forwarded, answers))
        for answer in answers:
            self.assertIn("<error code=", answer)
            self.assertLess(len(answer), 250)
        for text in forwarded:
            self.assertEqual(serverElements(text), set(), text)
            if "<" in text:
                self.assertTrue(elementTree(text), text)
        return forwarded

    def test_readers(self) -> None:
        """
        Every forged message that version 1.0.0 forwarded is detected by at least one
        reader.
        """
        for message in (
            '<!DOCTYPE a><say from="Ann">hi</say>',
            'x<say from="Ann">hi</say>',
            '<![CDATA[]]><say from="Ann">hi</say>',
            "<!DOCTYPE x [<!ENTITY a '<say/>']><x>&a;</x>",
            '<!DOCTYPE a><left name="Ben"/>',
            *FORGED,
        ):
            self.assertTrue(serverElements(message), message)
        self.assertEqual(recovering("<x/><left/>"), ["x"])

    def test_forged(self) -> None:
        """
        A forged element is refused at any position.
        """
        pair = Pair()
        for forged in FORGED[:7]:
            for message in (
                forged,
                f"<!DOCTYPE a>{forged}",
                f"x{forged}",
                f"<![CDATA[]]>{forged}",
                f"<?p?>{forged}",
                f"<x/>{forged}",
                f"<x>{forged}</x>",
                f"<say>{forged}</say>",
                f"<say><![CDATA[{forged}]]></say>",
                f"<x><![CDATA[{forged}]]></x>",
                f"<x><!-- {forged} --></x>",
            ):
                self.assertEqual(self.check(pair, message), [], message)

    def test_expensive(self) -> None:
        """
        A message that was expensive to parse in version 1.0.0 is refused with a short
        error. The number of calls does not depend on its length.
        """
        attributes = " ".join(f'a{number}=""' for number in range(80_000))
        qualified = " ".join(f'b:a{number}=""' for number in range(190))
        for message in (
            "<!---->" * 30 + "x",
            "<!---->" * 100_000 + "x",
            f"<say>{'<a/>' * 262_000}</say>",
            f"<say {attributes}>",
            f"<say {attributes}/>",
            f"<{'a' * 100_000}",
            f"<{'a' * 100_000} b='' b=''/>",
            f"<say {'a' * 100_000}=''/>",
            f"<say to='{'a' * 100_000}'/>",
            f"<join room='{'a' * 100_000}'/>",
            f"<join room='a' name='{'a' * 100_000}'/>",
            f"<set key='{'a' * 100_000}' value='b'/>",
            f"<resume token='{'a' * 100_000}'/>",
            f"<x {qualified} xmlns:b='{'u' * 900_000}'/>",
        ):
            pair = Pair()
            calls = callsOf(partial(pair.one.protocol.lineReceived, message.encode()))
            self.assertLess(calls, 400, message[:40])
            [error] = pair.one.read()
            self.assertIn("<error code=", error)
            self.assertLess(len(error), 250)
            self.assertEqual(pair.two.read(), [])

    def test_cheap(self) -> None:
        """
        The number of calls for a forwarded message does not depend on its content.
        """
        pair = Pair()
        for content in ("x" * 100_000, "<a/>" * 1400, "<a b='c'>d</a>" * 700, "\n&lt;" * 50_000):
            message = f"<say>{content}</say>"
            calls = callsOf(partial(pair.one.protocol.lineReceived, message.encode()))
            self.assertLess(calls, 200, message[:40])
            self.assertEqual(pair.two.read(), [f'<say from="Mallory">{content}</say>'])

    def test_notUTF8(self) -> None:
        """
        A message that is not UTF-8 is refused.
        """
        pair = Pair()
        for data in (
            b"\xff",
            b"\xc0\xbcsay/>",
            b"<x>\xe9</x>",
            b"\xff\xfe<",
            b"<x>\xed\xa0\x80</x>",
        ):
            pair.one.transport.arrive(data + b"\0")
            self.assertEqual(pair.two.read(), [])
            self.assertEqual(
                pair.one.read(), ['<error code="xml">the message is not UTF-8</error>']
            )

    @settings(deadline=None, max_examples=500)
    @given(st.lists(messages, min_size=1, max_size=4))
    def test_anything(self, sent: list[str]) -> None:
        """
        Every message is forwarded or refused, and no reader finds an element of the
        server in a forwarded message.
        """
        pair = Pair()
        for message in sent:
            if not isOtherRequest(message):
                self.check(pair, message)


HAXE = """
class Main {
    static function names(xml:Xml):Array<String> {
        var found = [];
        for (each in xml)
            if (each.nodeType == Xml.Element)
                found = found.concat([each.nodeName]).concat(names(each));
        return found;
    }

    static function main() {
        var input = Sys.stdin();
        try {
            while (true) {
                var text = haxe.crypto.Base64.decode(input.readLine()).toString();
                var found = try names(Xml.parse(text)).join(" ") catch (e:Dynamic) "";
                Sys.println(found);
            }
        } catch (e:haxe.io.Eof) {}
    }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("haxe") is None, reason="haxe is not installed (apt-get install haxe)"
)
def test_haxe(tmp_path: Path) -> None:
    """
    Haxe's C{Xml} finds no element of the server in forwarded messages, but does in those
    that version 1.0.0 forwarded.
    """
    pair = Pair()
    forged = ["<!DOCTYPE a><say from='Ann'>hi</say>", "x< say from='Ann'>hi</say>", "<x><say/></x>"]
    harmless: list[str] = []

    @seed(0)
    @settings(deadline=None, max_examples=300, database=None)
    @given(messages)
    def collect(message: str) -> None:
        if not isOtherRequest(message):
            harmless.extend(pair.forward(message)[0])

    collect()
    (tmp_path / "Main.hx").write_text(HAXE)
    texts = [base64.b64encode(text.encode()).decode() for text in forged + harmless]
    command = ["haxe", "-cp", str(tmp_path), "-main", "Main", "--interp"]
    found = subprocess.run(
        command, input="\n".join(texts) + "\n", check=True, capture_output=True, text=True
    )
    lines = found.stdout.split("\n")[:-1]
    assert len(lines) == len(texts)
    assert lines[:3] == ["say", "say", "x say"]
    assert any("x" in line for line in lines[3:])
    own = '<say from="Mallory">'
    for text, line in zip(harmless, lines[3:], strict=True):
        seen = [
            name for name in line.lower().split() if name.rpartition(":")[2] in _SERVER_ELEMENTS
        ]
        assert seen in ([], ["say"] if text.startswith(own) else []), (text, line)
