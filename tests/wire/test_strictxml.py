"""
Tests for L{openfl_twisted.wire.strictxml}.
"""

import contextlib
import gc
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.strictxml import (
    _MAX_TOKEN,
    Element,
    Node,
    XMLError,
    XMLLimits,
    readElement,
    readNodes,
    walk,
)
from tests.effort import callsOf

PIECES = [
    "<a>",
    "</a>",
    "<a/>",
    "<b c='d'>",
    "</b>",
    "text",
    "&lt;",
    "&#65;",
    "\n",
    " ",
    "<!-- c -->",
    "<![CDATA[ > ]]>",
    "<",
    ">",
    "'",
    "</",
    "]]>",
    "<!--",
    "\u00e9",
    "<x:a xmlns:x='u'>",
    "</x:a>",
    "<?p?>",
    "<!DOCTYPE a>",
    "<?xml version='1.0'?>",
]


class ElementTests(SynchronousTestCase):
    """
    L{readElement} accepts exactly one element.
    """

    def test_parts(self) -> None:
        """
        The parts of the root are returned, and its content is unchanged.
        """
        for text, name, attributes, content in (
            ("<a/>", "a", {}, ""),
            ("<a></a>", "a", {}, ""),
            ("<a >x</a >", "a", {}, "x"),
            ("<a b='1' c=\"&lt;&#10;\"/>", "a", {"b": "1", "c": "<\n"}, ""),
            ("<a>\r\n</a>\n", "a", {}, "\r\n"),
            ("<a>&amp;</a>", "a", {}, "&amp;"),
            ("<a><a></a></a>", "a", {}, "<a></a>"),
            ("<a><!-- </a> --></a>", "a", {}, "<!-- </a> -->"),
            ("<a><![CDATA[</a>]]></a>", "a", {}, "<![CDATA[</a>]]>"),
            ("<a b='/>'>x</a>", "a", {"b": "/>"}, "x"),
            (
                "\ufeff<?xml version='1.0' encoding='UTF-8'?>\n<!-- </ --><a>\u00e9</a>",
                "a",
                {},
                "\u00e9",
            ),
            ("<a/><!-- </ -->", "a", {}, ""),
            ("<a>x</a><!-- c -->", "a", {}, "x"),
            (
                "<a>" + "x" * 10_000 + "<b/>" + "y" * 10_000 + "</a>",
                "a",
                {},
                "x" * 10_000 + "<b/>" + "y" * 10_000,
            ),
        ):
            element = readElement(text.encode())
            self.assertEqual(element, Element(name, "", attributes, False, content.encode()), text)

    def test_namespaces(self) -> None:
        """
        A name is split from its prefix, and declared namespaces are noticed everywhere.
        """
        self.assertEqual(
            readElement(b"<x:a xmlns:x='u}v' x:b='1'/>"),
            Element("a", "x", {"u}v\1b\1x": "1"}, True, b""),
        )
        self.assertEqual(readElement(b"<a xmlns='u'/>")[:2], ("a", ""))
        for text in (b"<a xmlns='u'/>", b"<a><b xmlns:c='u'/></a>"):
            self.assertTrue(readElement(text).declaresNamespaces)
        self.assertRaises(XMLError, readElement, b"<x:a/>")

    def test_refused(self) -> None:
        """
        Any other document is refused, with a short reason that contains nothing
        of the data.
        """
        for text, words in (
            ("", "no element found"),
            ("x", "syntax error"),
            ("<a>", "no element found"),
            ("<a", "unclosed token"),
            ("<a/><a/>", "junk after document element"),
            ("<a></b>", "mismatched tag"),
            ("<a b='1' b='2'/>", "duplicate attribute"),
            ("<a b=1/>", "not well-formed"),
            ("<a b='<'/>", "not well-formed"),
            ("<a>&unknown;</a>", "undefined entity"),
            ("<a>\0</a>", "not well-formed"),
            ("<a>\x0b</a>", "not well-formed"),
            ("<a>&#0;</a>", "invalid character number"),
            ("<a>&#xD800;</a>", "invalid character number"),
            ("<a>\ufffe</a>", "not well-formed"),
            ("<a>]]></a>", "not well-formed"),
            ("\ufeff\ufeff<a/>", "not well-formed"),
            (" <?xml version='1.0'?><a/>", "XML or text declaration not at start"),
            ("<?xml version='1.1'?><a/>", "only XML 1.0"),
            ("<?xml version='1.0' encoding='utf-16'?><a/>", "only the encoding UTF-8"),
            ("<?xml version='1.0' encoding='cp037'?><a/>", "only the encoding UTF-8"),
            ("<!DOCTYPE a><a/>", "a document type declaration is not allowed"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "a document type declaration"),
            ("<?p?><a/>", "a processing instruction is not allowed"),
            ("<a><?p?></a>", "a processing instruction is not allowed"),
            ("<a/><?p?>", "a processing instruction is not allowed"),
            ("<a>x</a><!-- </ -->", "only white space may follow"),
            ("<x" + "y" * 5000, "unclosed token"),
            ("<a xmlns:b='" + "u" * 201 + "'/>", "a namespace has more than 200 bytes"),
            ("<" + "secret" * 1000 + " a='' a=''/>", "duplicate attribute"),
        ):
            with self.assertRaises(XMLError) as caught:
                readElement(text.encode())
            self.assertIn(words, str(caught.exception), text)
            self.assertLess(len(str(caught.exception)), 120)
            self.assertNotIn("secret", str(caught.exception))
        self.assertRaises(XMLError, readElement, b"<a>\xff</a>")

    def test_limits(self) -> None:
        """
        Elements and attributes are counted before anything is parsed; each
        limit is the largest number that is accepted.
        """
        for text, words in (
            ("<a>" + "<b/>" * 1498 + "{}</a>", "more than 1500 tags"),
            (
                "<a " + " ".join(f"a{n}=\n''" for n in range(1000)) + "{}/>",
                "more than 1000 attributes",
            ),
            (
                "<a>" + "=" * 5000 + "<b c= ''/>" * 990 + "='" * 10 + "{}</a>",
                "more than 1000 attributes",
            ),
        ):
            readElement(text.format("").encode())
            with self.assertRaises(XMLError) as caught:
                readElement(text.format(" b =''<b/>").encode())
            self.assertIn(words, str(caught.exception))

    def test_longTokens(self) -> None:
        """
        A tag or comment much longer than a chunk of the parser is refused, since
        it would be parsed again for each chunk. Long text is accepted.
        """
        length = 3 * _MAX_TOKEN
        for text in (
            f"<a b='{'x' * length}'/>",
            f"<a><!--{'x' * length}--></a>",
            "<a" + " " * length,
        ):
            with self.assertRaises(XMLError) as caught:
                readElement(text.encode())
            self.assertIn("a tag or comment is longer than 1048576 bytes", str(caught.exception))
        for text in ("x" * length, f"<![CDATA[{'x' * length}]]>"):
            self.assertEqual(readElement(f"<a>{text}</a>".encode()).content, text.encode())

    @settings(deadline=None)
    @given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text())
    def test_strict(self, text: str) -> None:
        """
        C{xml.etree} accepts each accepted document too, with the same name,
        attributes and content.
        """
        data = text.encode()
        try:
            element = readElement(data)
        except XMLError:
            return
        root = ET.fromstring(data)
        self.assertEqual(root.tag.rpartition("}")[2], element.name)
        if not element.declaresNamespaces:
            self.assertEqual(root.attrib, element.attributes)
            inside = ET.fromstring(b"<r>" + element.content + b"</r>")
            self.assertEqual([*inside.itertext()], [*root.itertext()])
            self.assertEqual([e.tag for e in inside.iter()][1:], [e.tag for e in root.iter()][1:])

    @settings(deadline=None)
    @given(st.sampled_from(PIECES), st.sampled_from(PIECES), st.integers(100, 600))
    def test_calls(self, piece: str, other: str, count: int) -> None:
        """
        The number of calls does not depend on the contents of a document: elements, text
        and attributes cause no calls. Namespaces do, up to their limit.
        """

        def read() -> None:
            with contextlib.suppress(XMLError):
                readElement(f"<a>{(piece + other) * count}</a>".encode())

        self.assertLess(callsOf(read), 500 if "xmlns" in piece + other else 70)

    def test_garbage(self) -> None:
        """
        No garbage remains for the collector, also after an error.
        """
        gc.collect()
        gc.disable()
        try:
            for text in (b"<a>b<c/></a>", b"<a>", b"<a><?p?></a>", b"<!DOCTYPE a><a/>"):
                with contextlib.suppress(XMLError):
                    readElement(text)
            self.assertEqual(gc.collect(), 0)
        finally:
            gc.enable()


class WalkTests(SynchronousTestCase):
    """
    L{walk} calls functions with elements and text.
    """

    def walk(self, data: bytes, limits: XMLLimits | None = None) -> tuple[list[object], str]:
        """
        Return the elements and the text of a document.
        """
        elements: list[object] = []
        texts: list[str] = []
        walk(
            data,
            lambda depth, name, attributes: elements.append((depth, name, attributes)),
            texts.append,
            limits or XMLLimits(),
        )
        return elements, "".join(texts)

    def test_elements(self) -> None:
        """
        Each element has its depth, name and attributes.
        """
        data = b"<!DOCTYPE a SYSTEM 'u'><?p?><a b='1'>c<d/>&lt;<e xmlns='u'>f</e></a>"
        self.assertEqual(
            self.walk(data), ([(1, "a", {"b": "1"}), (2, "d", {}), (2, "u}e", {})], "c<f")
        )

    def test_declarations(self) -> None:
        """
        Declarations are refused before they are parsed, in every accepted
        encoding, so neither entities nor default attributes take time.
        """
        defaults = " ".join(f"a{n} CDATA ''" for n in range(2000))
        for text in (
            f"<!DOCTYPE a [<!ATTLIST a {defaults}>]><r>{'<a/>' * 900}</r>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
            "<!DOCTYPE a [<!NOTATION b SYSTEM 'c'>]><a/>",
            "<!DOCTYPE a [<?p?>]><a/>",
            "<!DOCTYPE a []><a/>",
        ):
            for data in (text.encode(), text.encode("utf-16"), text.encode("utf-16-be")):
                with self.assertRaises(XMLError) as caught:
                    self.walk(data)
                self.assertIn("an internal DTD subset is not allowed", str(caught.exception))

    def test_encodings(self) -> None:
        """
        An encoding that does not contain ASCII could hide declarations, and is
        refused; so is an unknown one.
        """
        hidden = "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".encode("cp037")
        for name in ("cp037", "utf-7", "idna", "unicode_escape", "no-such", "iso-8859-12", ""):
            data = f"<?xml version='1.0' encoding='{name}'?>".encode() + hidden
            with self.assertRaises(XMLError) as caught:
                self.walk(data)
            self.assertIn("encoding is unknown or unsupported", str(caught.exception))
        for name in ("utf-8", "ISO-8859-1", "windows-1252", "us-ascii", "KOI8-R"):
            self.walk(f"<?xml version='1.0'\n encoding = \"{name}\"?><a/>".encode())

    def test_limits(self) -> None:
        """
        Each limit is the largest number that is accepted.
        """
        limits = XMLLimits(markup=12, attributes=2, qualified=1, depth=3, namespace=4)
        for accepted, refused, words in (
            ("<a>" * 3 + "</a>" * 3, "<a>" * 4 + "</a>" * 4, "more than 3 nested elements"),
            ("<a>" + "<b/>" * 10 + "</a>", "<a>" + "<b/>" * 11 + "</a>", "more than 12 tags"),
            ("<a b='' c=''/>", "<a b='' c='' d=''/>", "more than 2 attributes"),
            ("<a xmlns=''/>", "<a xmlns='' b=''/>", "more than 1 attributes"),
            ("<a xmlns='abcd'/>", "<a xmlns='abcde'/>", "a namespace has more than 4 bytes"),
        ):
            self.walk(accepted.encode(), limits)
            with self.assertRaises(XMLError) as caught:
                self.walk(refused.encode(), limits)
            self.assertIn(words, str(caught.exception))

    @settings(deadline=None)
    @given(st.binary() | st.lists(st.sampled_from(PIECES)).map("".join).map(str.encode))
    def test_anything(self, data: bytes) -> None:
        """
        Any bytes are read or refused.
        """
        try:
            elements, _ = self.walk(data)
        except XMLError as error:
            self.assertNotEqual(str(error), "")
        else:
            self.assertTrue(elements)


class NodeTests(SynchronousTestCase):
    """
    L{readNodes} returns all elements of a document.
    """

    def test_nodes(self) -> None:
        """
        The elements are in document order, each with its own text.
        """
        self.assertEqual(
            readNodes(b"<?xml version='1.0'?><a x='1'>t<b>u<![CDATA[<v>]]></b><!-- c -->w<b/></a>"),
            [
                Node(1, "a", {"x": "1"}, "tw"),
                Node(2, "b", {}, "u<v>"),
                Node(2, "b", {}, ""),
            ],
        )

    def test_refused(self) -> None:
        """
        Namespaces, processing instructions, DTDs, other encodings and deep nesting are refused.
        """
        for text in (
            "",
            "a",
            "<a/>b",
            "<a/><b/>",
            "<a xmlns='u'/>",
            "<a><b xmlns:c='u'/></a>",
            "<a:b/>",
            "<a><?p?></a>",
            "<!DOCTYPE a><a/>",
            "<?xml version='1.0' encoding='latin-1'?><a/>",
            "<?xml version='1.1'?><a/>",
            "<a>" * 101 + "</a>" * 101,
            "<a>" + "<b/>" * 1500 + "</a>",
        ):
            self.assertRaises(XMLError, readNodes, text.encode())

    @given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
    def test_any(self, text: str) -> None:
        """
        Any text is either refused, or read as by ElementTree. L{readElement} accepts the same
        documents, except those with namespaces.
        """
        data = text.encode()
        try:
            found = readNodes(data)
        except XMLError:
            with contextlib.suppress(XMLError):
                self.assertTrue(readElement(data).declaresNamespaces)
            return
        tree = ET.fromstring(text)
        self.assertEqual(
            [(each.name, each.attributes) for each in found],
            [(each.tag, each.attrib) for each in tree.iter()],
        )
        self.assertEqual(
            found[0].text, (tree.text or "") + "".join(each.tail or "" for each in tree)
        )
