"""
Tests for L{openfl_twisted.rooms.vocabulary}.
"""

import re
from unittest.mock import patch
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms import vocabulary
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import Member, Room, RoomLimits
from openfl_twisted.rooms.vocabulary import Request, VocabularyError, parseRequest
from openfl_twisted.wire.messages import END
from openfl_twisted.wire.text import encodeUTF8
from tests.support.recipients import RecordingRecipient

_names = st.text(st.characters(codec="utf-8"))


def written(element: Element) -> bytes:
    """
    Encode an element as a message, with C{xml.etree}.
    """
    return encodeUTF8(tostring(element, "unicode")) + END


class ParseTests(SynchronousTestCase):
    """
    L{parseRequest}.
    """

    def test_requests(self) -> None:
        """
        A request has its attributes, and C{say} has its content.
        """
        for message, request in (
            ('<join room="chess" name="Ann"/>', Request("join", {"room": "chess", "name": "Ann"})),
            ("<leave/>", Request("leave")),
            ("<leave></leave>", Request("leave")),
            ("<say>hello</say>", Request("say", {}, "hello")),
            ('<say to="Ben">a &lt; b</say>', Request("say", {"to": "Ben"}, "a &lt; b")),
            ("<say>a <b>bold</b> c</say>", Request("say", {}, "a <b>bold</b> c")),
            ("<say/>", Request("say")),
            ("<who />", Request("who")),
            ("\n <rooms/>\n", Request("rooms")),
            ('<set key="a" value="1"/>', Request("set", {"key": "a", "value": "1"})),
            ("<resume\ntoken='x'/>", Request("resume", {"token": "x"})),
            ("<!-- hidden --><say from='x'/>".replace(" from='x'", ""), Request("say")),
            ("\ufeff<?xml version='1.0'?><leave/>", Request("leave")),
            ("<say><![CDATA[a & b]]></say><!-- c -->", Request("say", {}, "<![CDATA[a & b]]>")),
        ):
            self.assertEqual(parseRequest(message), request, message)

    def test_forwarded(self) -> None:
        """
        A message with any other element, or without an element, is forwarded.
        """
        for message in (
            "",
            "hello",
            "a > b &lt;say from='Ann'/&gt;",
            "<move x='1'/>",
            "<saying/>",
            "\ufeff<?xml version='1.0' encoding='utf-8'?>\n<x>b</x> \n",
            "<x><![CDATA[a & b ]] ]> > ]]]></x>",
            "<x:join xmlns:x='u'/>",
            "<x xmlns='u'><join/><member/><data/><room/></x>",
            "<error_/>",
            "<x say='1' from='Ann'>say</x>",
        ):
            self.assertIsNone(parseRequest(message), message)

    def test_malformed(self) -> None:
        """
        A malformed request raises L{VocabularyError}.
        """
        for message, words in (
            ("<say>", "cannot be parsed: not well-formed"),
            ("<join room=chess/>", "not well-formed"),
            ("<say>&unknown;</say>", "not well-formed"),
            ("<say><a:b/></say>", "not well-formed"),
            ("<leave now='1'/>", "<leave> has no attribute now"),
            ("<say from='Ann'/>", "<say> has no attribute from"),
            ("<say to='Ben' to='Ben'/>", "duplicate attribute"),
            ("<leave>now</leave>", "<leave> must be empty"),
            ("<who><x/></who>", "<who> must be empty"),
            ("<say xmlns='u'/>", "<say> must have no namespace"),
            ("<say xmlns:a='u'><a:b/></say>", "<say> must have no namespace"),
            (f"<say>{'<a>' * 1000}{'</a>' * 1000}</say>", "more than 1500 tags"),
            ("<left name='Ben'/>", "only the server can send <left>"),
            ("\ufeff<!-- > -->\n<welcome/>", "only the server can send <welcome>"),
        ):
            with self.assertRaises(VocabularyError) as caught:
                parseRequest(message)
            self.assertIn(words, str(caught.exception))

    def test_forged(self) -> None:
        """
        A message is refused if any reader, however lenient, could find an element of the
        server in it.
        """
        forged = "<say from='Ann'>hi</say>"
        for message in (
            f"<!DOCTYPE a>{forged}",
            "<!DOCTYPE a><left name='Ben'/>",
            f"<!DOCTYPE x [<!ENTITY a '{forged}'>]><x>&a;</x>",
            f"x{forged}",
            f"<![CDATA[]]>{forged}",
            f"<?p?>{forged}",
            f"<x/>{forged}",
            f"<x>{forged}</x>",
            f"<say>{forged}</say>",
            f"<x><?p {forged}?></x>",
            f"<x><![CDATA[{forged}]]></x>",
            f"<x><!--> {forged} --></x>",
            f"<x/><!-- {forged} -->",
            f"<!-- {forged} --><x/>",
            f"<say><![CDATA[</say>{forged}]]></say>",
            "<say><![CDATA[</say>]]></say>",
            "<x><![CDATA[< say from='Ann'>hi</say>]]></x>",
            "<SAY from='Ann'>hi</SAY>",
            "<\u017fay from='Ann'>hi</\u017fay>",
            "<x:say xmlns:x='u' from='Ann'>hi</x:say>",
            "<x><a:b.c-d:Say xmlns:a='u'/></x>",
            "<say:x xmlns:say='u'/>",
            "<say-x/>",
            "<say\u00e9 from='Ann'/>",
            "<x><joined name='Ann'/></x>",
            "<x><who room='a'/></x>",
            "<?xml version='1.0' encoding='cp037'?><x/>",
            "<?xml version='1.1'?><x/>",
            "<x/>\ufeff<y/>",
            "I <3 you",
            "<",
            "<x><!-- comment --></x>",
            "<x/><!-- comment -->",
            "<say><!-- comment --></say>",
            "<x><![CDATA[I <3 you]]></x>",
            f"<say><![CDATA[<<!---->{forged[1:]}]]></say>",
            "<x><![CDATA[<]]>say from='Ann'<![CDATA[>]]></x>",
        ):
            self.assertRaises(VocabularyError, parseRequest, message)

    @given(st.sampled_from(sorted(vocabulary._REQUESTS)), st.text(st.characters(codec="utf-8")))
    def test_anything(self, name: str, rest: str) -> None:
        """
        Any text after the name of a request yields a request, an error, or a message to
        forward.
        """
        try:
            request = parseRequest(f"<{name}{rest}")
        except VocabularyError:
            return
        self.assertTrue(request is None or request.name == name)


class WriteTests(SynchronousTestCase):
    """
    The messages written by the server.
    """

    def setUp(self) -> None:
        self.lobby = Lobby(clock=Clock())
        self.member = self.lobby.join('a "room"', RecordingRecipient(), "<Ann>")

    def test_wellFormed(self) -> None:
        """
        Every message is well-formed XML followed by a zero byte, with any names.
        """
        room = self.member.room
        assert room is not None
        self.lobby.setAttribute(self.member, "color", "<red>")
        self.lobby.setAttribute(room, "topic", "&")
        for message in (
            vocabulary.welcome(self.member, room),
            vocabulary.welcome(self.member, room, lost=3),
            vocabulary.joined(self.member),
            vocabulary.left(self.member),
            vocabulary.say(self.member, "hello"),
            vocabulary.say(self.member, "<b/>", private=True),
            vocabulary.who(room),
            vocabulary.rooms(self.lobby.rooms),
            vocabulary.attributeSet(self.member, "color", "<red>"),
            vocabulary.gap(3),
            vocabulary.refusal("full", "a < b"),
        ):
            self.assertTrue(message.endswith(b"\0"))
            fromstring(message[:-1].decode())

    def test_content(self) -> None:
        """
        The content of a message is forwarded unchanged.
        """
        self.assertEqual(
            vocabulary.say(self.member, "a &lt; <b>c</b>", private=True),
            b'<say from="&lt;Ann&gt;" private="true">a &lt; <b>c</b></say>\0',
        )

    @given(st.text() | st.text("a<>&]\t\n\r\0\x1f\ufffe\uffff"))
    @example("a]]>b")
    def test_plain(self, content: str) -> None:
        """
        A C{say} that is read without the parser has the same result with it.
        """
        results: list[Request | None] = []
        for pattern in (vocabulary._plainSay, re.compile(r"(?!)")):
            with patch.object(vocabulary, "_plainSay", pattern):
                try:
                    results.append(parseRequest(f"<say>{content}</say>"))
                except VocabularyError:
                    results.append(None)
        self.assertEqual(*results)

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
    def test_roundTrip(self, text: str) -> None:
        """
        Text sent with C{say} is received unchanged.
        """
        element = fromstring("<say/>")
        element.text = text
        request = parseRequest(written(element)[:-1].decode())
        assert request is not None
        received = fromstring(vocabulary.say(self.member, request.content)[:-1].decode())
        self.assertEqual(received.text or "", text)

    @given(st.lists(_names, unique=True, max_size=3), st.dictionaries(_names, _names, max_size=3))
    def test_lists(self, names: list[str], data: dict[str, str]) -> None:
        """
        Lists are written exactly as by C{xml.etree}, with any text.
        """
        lobby = Lobby(RoomLimits(maxName=0), Clock())
        who, rooms = Element("who", {"room": "a"}), Element("rooms")
        for name in names:
            member = Member(name, Room(name, lobby.limits), RecordingRecipient(), dict(data))
            room = lobby.rooms.setdefault("a", Room("a", lobby.limits))
            room.members[name] = member
            element = SubElement(who, "member", {"name": name, "connected": "true"})
            for key, value in data.items():
                SubElement(element, "data", {"key": key, "value": value})
        for name in names:
            attributes = {"name": name, "connected": "true", "remote": "true"}
            SubElement(who, "member", attributes)
        for name, room in lobby.rooms.items():
            room.data.update(data)
            attributes = {"name": name, "members": str(len(room.members))}
            element = SubElement(rooms, "room", attributes)
            for key, value in data.items():
                SubElement(element, "data", {"key": key, "value": value})
                who.insert(
                    list(data).index(key),
                    SubElement(Element("x"), "data", {"key": key, "value": value}),
                )
        self.assertEqual(vocabulary.rooms(lobby.rooms), written(rooms))
        if names:
            self.assertEqual(vocabulary.who(lobby.rooms["a"], names), written(who))
