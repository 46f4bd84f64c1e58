"""
Strict XML parsing with limits, for data from untrusted peers: room messages and
socket policy files.

The parser is C{expat}; no tree is built. The parsing time is proportional to the length of the
data. Nothing is fetched or expanded: declarations inside a document, such as entities, are
refused before parsing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from xml.parsers import expat

_MAX_TOKEN = 1024 * 1024
"""
Length above which a single tag or comment may be refused (bytes): 1 MiB.
"""

# The number of bytes in the first call of the parser. Text after the start tag of the root, up to
# the end of this first chunk, is passed to a handler.
_FIRST_CHUNK = 4096

# Separates the namespace, the name and the prefix in names from expat. XML cannot contain this
# character.
_SEPARATOR = "\x01"

_WHITE_SPACE = b" \t\r\n"

# The beginning of a declaration other than a comment, a CDATA section or a DTD.
_declaration = re.compile(rb"<!(?!--|\[CDATA\[|DOCTYPE)")
_undeclared = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)[\w:\x80-\xff]")
_encoding = re.compile(
    rb"""(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?<\?xml[^>]*?encoding\s*=\s*["']([^"']*)"""
)
_INTERNAL = "an internal DTD subset is not allowed"
_UNREADABLE = "the encoding is unknown or unsupported"
_namespace = re.compile(
    rb"""xmlns(?::[^ \t\r\n=:<>"']*+)?[ \t\r\n]*+=[ \t\r\n]*+("[^"<]*+|'[^'<]*+)"""
)
_likeASCII = re.compile(
    rb"utf-8|utf-16(?:[lb]e)?|us-ascii|iso-8859-[0-9]{1,2}|windows-125[0-8]|koi8-[ru]",
    re.IGNORECASE,
)


class XMLError(ValueError):
    """
    The data is not accepted as XML. The text of the exception is short, and contains no data
    from the peer.
    """


class NotWellFormed(XMLError):
    """
    The data is not well-formed XML with namespaces.
    """


@dataclass(frozen=True)
class XMLLimits:
    """
    Limits of one document.

    @ivar markup: maximum number of C{<} characters: start tags, end tags,
        comments and CDATA sections together.
    @ivar attributes: maximum number of attributes of all elements together. In text, a C{=}
        followed by a quotation mark also counts as an attribute.
    @ivar qualified: maximum number of attributes in a document that contains C{xmlns}.
    @ivar depth: maximum number of nested elements, for L{walk}. In L{readElement}, only
        C{markup} limits the nesting.
    @ivar namespace: maximum length of an encoded namespace name (bytes).
    """

    markup: int = 1500
    attributes: int = 1000
    qualified: int = 200
    depth: int = 100
    namespace: int = 200


# The limits of a room message.
_DEFAULT_LIMITS = XMLLimits()


class Element(NamedTuple):
    """
    The root element of a document.

    @ivar name: the name without its prefix.
    @ivar prefix: the prefix (default: empty).
    @ivar attributes: the attributes by name. In the name of an attribute, the namespace replaces
        the prefix.
    @ivar declaresNamespaces: whether the document declares a namespace
        anywhere.
    @ivar content: the bytes between the start tag and the end tag, unchanged.
    """

    name: str
    prefix: str
    attributes: dict[str, str]
    declaresNamespaces: bool
    content: bytes


def _split(name: str) -> tuple[str, str]:
    """
    Split a name from expat into the local name and the prefix.
    """
    parts = name.split(_SEPARATOR)
    return parts[min(1, len(parts) - 1)], parts[2] if len(parts) == 3 else ""


def _checkAmounts(data: bytes, limits: XMLLimits) -> None:
    """
    Check the limits that need no parser.

    @raise XMLError: if the data exceeds a limit.
    """
    if data.count(b"<") > limits.markup:
        raise XMLError(f"more than {limits.markup} tags")
    equals = data.count(b"=")
    mayQualify = equals > 0 and b"xmlns" in data
    most = min(limits.attributes, limits.qualified) if mayQualify else limits.attributes
    if equals > most:
        packed = data.translate(None, _WHITE_SPACE)
        if packed.count(b'="') + packed.count(b"='") > most:
            raise XMLError(f"more than {most} attributes")
    # expat copies the namespace name for each attribute in the namespace.
    if mayQualify and any(
        len(found[1]) - 1 > limits.namespace for found in _namespace.finditer(data)
    ):
        raise XMLError(f"a namespace has more than {limits.namespace} bytes")


def _checkDocument(data: bytes) -> None:
    """
    Check the limits of a message, and refuse a DTD.

    @raise XMLError: if the data exceeds a limit or contains a DTD.
    """
    _checkAmounts(data, _DEFAULT_LIMITS)
    # This check also refuses "<!DOCTYPE" in a comment or in text, but guarantees that no DTD is
    # parsed.
    if b"<!DOCTYPE" in data:
        raise XMLError("a document type declaration is not allowed")


class _Reader:
    """
    One run of expat.

    An exception in a handler does not stop expat, which continues to the end of the data.
    Therefore, everything that could make parsing expensive is refused before parsing.
    """

    declaresNamespaces = False

    def __init__(self, limits: XMLLimits, encoding: str | None = None) -> None:
        self.limits = limits
        self.parser = expat.ParserCreate(encoding, _SEPARATOR)
        self.parser.namespace_prefixes = True
        self.parser.StartNamespaceDeclHandler = self._declareNamespace

    def release(self) -> None:
        """
        Break the reference cycle between the parser and its handlers.
        """
        del self.parser

    def feed(self, data: bytes | memoryview, *, final: bool) -> None:
        """
        Parse the next bytes. Each time expat is called, it parses an incomplete token again
        from the beginning of the token. Therefore, this method passes the data to expat in a
        few large parts, and refuses a token that is longer than a part.

        @raise NotWellFormed: if the data is not well-formed.
        @raise XMLError: if a token is too long.
        """
        parser = self.parser
        start, end = 0, _FIRST_CHUNK
        try:
            while end < len(data):
                before = parser.CurrentByteIndex
                parser.Parse(data[start:end], False)
                if start and parser.CurrentByteIndex == before:
                    raise XMLError(f"a tag or comment is longer than {_MAX_TOKEN} bytes")
                start, end = end, end + _MAX_TOKEN
            parser.Parse(data[start:], final)
        except expat.ExpatError as problem:
            raise NotWellFormed(f"not well-formed XML: {problem}") from None

    def _declareNamespace(self, prefix: str | None, uri: str | None) -> None:
        self.declaresNamespaces = True
        self.parser.StartNamespaceDeclHandler = None


class _StrictReader(_Reader):
    """
    Reads a document in UTF-8 without processing instructions.
    """

    def __init__(self, limits: XMLLimits) -> None:
        super().__init__(limits, "utf-8")
        self.parser.XmlDeclHandler = self._declare
        self.parser.ProcessingInstructionHandler = self._refuseInstruction

    def _declare(self, version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0":
            raise XMLError("only XML 1.0 is allowed")
        if encoding is not None and encoding.lower() != "utf-8":
            raise XMLError("only the encoding UTF-8 is allowed")

    def _refuseInstruction(self, *_about: object) -> None:
        raise XMLError("a processing instruction is not allowed")


class _ElementReader(_StrictReader):
    """
    Reads the root element. The handlers are called only for the root, because a Python call
    per element costs ten times as much as parsing the element.
    """

    def __init__(self, limits: XMLLimits) -> None:
        super().__init__(limits)
        self._name = ""
        self._attributes: dict[str, str] = {}
        self._start: int | None = None
        self._end: int | None = None
        self._inTail = False
        self.parser.StartElementHandler = self._startRoot

    def read(self, data: bytes) -> Element:
        """
        Parse a document in two parts. Only the second part contains the end of the root
        element.
        """
        # The last end tag belongs to the root element, if the root is not an empty-element tag.
        last = max(data.rfind(b"</"), 0)
        view = memoryview(data)
        self.feed(view[:last], final=False)
        self._inTail = True
        if self._start is not None and self._end is None:
            self.parser.EndElementHandler = self._endElement
        self.feed(view[last:], final=True)
        if self._start is None or self._end is None:
            raise XMLError("only white space may follow the element")
        name, prefix = _split(self._name)
        content = data[self._start : self._end]
        return Element(name, prefix, self._attributes, self.declaresNamespaces, content)

    def _startRoot(self, name: str, attributes: dict[str, str]) -> None:
        self._name, self._attributes = name, attributes
        parser = self.parser
        parser.StartElementHandler = parser.DefaultHandlerExpand = self._startContent
        parser.EndElementHandler = self._endEmpty

    def _startContent(self, *_about: object) -> None:
        """
        Called for the first content of the root element. Not called if the root is empty.
        """
        parser = self.parser
        self._start = parser.CurrentByteIndex
        parser.StartElementHandler = parser.DefaultHandlerExpand = None
        parser.EndElementHandler = self._endElement if self._inTail else None

    def _endEmpty(self, _name: str) -> None:
        """
        Called for the end of a root element without content.
        """
        parser = self.parser
        self._start = self._end = parser.CurrentByteIndex
        parser.StartElementHandler = parser.DefaultHandlerExpand = parser.EndElementHandler = None

    def _endElement(self, _name: str) -> None:
        self._end = self.parser.CurrentByteIndex


def readElement(data: bytes) -> Element:
    """
    Parse a document that is exactly one element of XML 1.0 with namespaces.

    White space and comments may surround the element. A comment after the element must not
    contain C{</}. A byte order mark, and an XML declaration whose encoding is UTF-8 or
    missing, may precede the element. DTDs and processing instructions are refused everywhere.

    @param data: the document, in UTF-8.
    @raise XMLError: if the data is anything else, or exceeds one of L{XMLLimits}.
    """
    _checkDocument(data)
    reader = _ElementReader(_DEFAULT_LIMITS)
    try:
        return reader.read(data)
    finally:
        reader.release()


class Node(NamedTuple):
    """
    An element of a document.

    @ivar depth: 1 for the root element, 2 for its children.
    @ivar name: the name.
    @ivar attributes: the attributes.
    @ivar text: the text directly in the element, without the text in its children.
    """

    depth: int
    name: str
    attributes: dict[str, str]
    text: str


class _NodeReader(_StrictReader):
    """
    Reads all elements of a document.
    """

    def __init__(self, limits: XMLLimits) -> None:
        super().__init__(limits)
        # The elements in document order, with the parts of their text. The second list contains
        # the elements whose end has not been read.
        self.found: list[tuple[int, str, dict[str, str], list[str]]] = []
        self._open: list[list[str]] = []
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._startElement
        self.parser.EndElementHandler = self._endElement
        self.parser.CharacterDataHandler = self._addText

    def _startElement(self, name: str, attributes: dict[str, str]) -> None:
        if self.declaresNamespaces:
            raise XMLError("a namespace is not allowed")
        if len(self._open) == self.limits.depth:
            raise XMLError(f"more than {self.limits.depth} nested elements")
        text: list[str] = []
        self._open.append(text)
        # Without declarations, only names with the prefix "xml" are in a namespace.
        self.found.append((len(self._open), name.replace(_SEPARATOR, "}"), attributes, text))

    def _endElement(self, _name: str) -> None:
        self._open.pop()

    def _addText(self, text: str) -> None:
        self._open[-1].append(text)


def readNodes(data: bytes) -> list[Node]:
    """
    Parse a document that is exactly one element of XML 1.0, and return all its elements. The
    rules are those of L{readElement}; in addition, namespaces are refused.

    @param data: the document, in UTF-8.
    @return: the elements in document order, beginning with the root element.
    @raise XMLError: if the data is anything else, or exceeds one of L{XMLLimits}.
    """
    _checkDocument(data)
    reader = _NodeReader(_DEFAULT_LIMITS)
    try:
        reader.feed(data, final=True)
        return [
            Node(depth, name, attributes, "".join(text))
            for depth, name, attributes, text in reader.found
        ]
    finally:
        reader.release()


class _Walker(_Reader):
    """
    Reads a document, and calls functions for elements and text.
    """

    hasDTD = False

    def __init__(
        self,
        limits: XMLLimits,
        onElement: Callable[[int, str, dict[str, str]], None],
        onText: Callable[[str], None],
    ) -> None:
        super().__init__(limits)
        self._onElement = onElement
        self._depth = 0
        self.parser.buffer_text = True
        self.parser.CharacterDataHandler = onText
        self.parser.StartElementHandler = self._startElement
        self.parser.EndElementHandler = self._endElement
        self.parser.StartDoctypeDeclHandler = self._startDTD

    def _startElement(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self.limits.depth:
            raise XMLError(f"more than {self.limits.depth} nested elements")
        # A name in a namespace has no meaning for the caller, so only a "}" marks it.
        self._onElement(self._depth, name.replace(_SEPARATOR, "}"), attributes)

    def _endElement(self, _name: str) -> None:
        self._depth -= 1

    def _startDTD(
        self, name: str, system: str | None, public: str | None, hasInternal: bool
    ) -> None:
        if hasInternal:
            raise XMLError(_INTERNAL)
        self.hasDTD = True


def _checkEncoding(data: bytes) -> None:
    """
    Check that the declared encoding is a superset of ASCII. In any other encoding, L{walk}
    could not find the declarations that it must refuse.

    @param data: the document without NUL bytes.
    @raise XMLError: if the encoding is unknown, or not a superset of ASCII.
    """
    found = _encoding.match(data)
    if found is not None and not _likeASCII.fullmatch(found[1]):
        raise XMLError(_UNREADABLE)


def walk(
    data: bytes,
    onElement: Callable[[int, str, dict[str, str]], None],
    onText: Callable[[str], None],
    limits: XMLLimits = _DEFAULT_LIMITS,
) -> None:
    """
    Parse a document in any encoding, and pass its elements and text to
    functions. A reference to an external DTD is allowed, and ignored.

    @param onElement: called for each start tag, with the depth (1 for the root), the name and
        the attributes. A name in a namespace is preceded by the namespace and a closing brace.
    @param onText: called for the text between the tags.
    @raise XMLError: if the document is not well-formed, contains declarations or an undeclared
        entity, or exceeds a limit.
    """
    # Without its NUL bytes, ASCII text in UTF-16 is the same as in ASCII.
    packed = data.replace(b"\0", b"")
    _checkEncoding(packed)
    if _declaration.search(packed):
        raise XMLError(_INTERNAL)
    _checkAmounts(packed, limits)
    walker = _Walker(limits, onElement, onText)
    try:
        walker.feed(data, final=True)
        # If there is a reference to a DTD, expat drops undeclared entities, because the DTD could
        # declare them.
        if walker.hasDTD and _undeclared.search(packed):
            raise XMLError("an entity is not declared")
    except XMLError:
        raise
    except (LookupError, ValueError):
        raise XMLError(_UNREADABLE) from None
    finally:
        walker.release()
