"""
HTTP requests: detection from the first bytes of a connection, parsing of the head, and the
answers of a server that has no web pages.

Only one head is read per connection. If the request is not a WebSocket handshake, it is
answered and the connection is closed. Persistent connections and request bodies are not
supported.
"""

import http
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl

MAX_HEAD = 16 * 1024
"""
Default maximum length of a request head (bytes): 16 KiB. Browsers include cookies,
which can have several thousand bytes.
"""

_MAX_TARGET = 4096
"""
Length of a request target (bytes) above which a connection counts as an HTTP request
even if the request line is incomplete.
"""

_REGISTRY = """
    ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE
    MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PRI
    PROPFIND PROPPATCH PUT QUERY REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE
    UPDATEREDIRECTREF VERSION-CONTROL
"""
_METHODS = frozenset(_REGISTRY.split())
"""
The methods in IANA's HTTP method registry.
"""

# The path of the health check: GET and HEAD are answered with 200.
_HEALTH_PATH = "/healthz"

# The text of the answer to a browser that requests a page.
_EXPLANATION = (
    "This port accepts WebSocket connections of OpenFL and Flash programs. "
    "It does not serve web pages."
)

_CLOSE = (("Connection", "close"),)
_ALLOW = ("Allow", "GET, HEAD, OPTIONS")

_WORD = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

# Every prefix of a method, in capital letters.
_methodPrefixes = frozenset(
    method[:length].encode() for method in _METHODS for length in range(len(method) + 1)
)
_methods = frozenset(method.encode() for method in _METHODS)
_longestMethod = max(map(len, _METHODS))
# Internet Explorer sends the characters of a query unescaped, in the encoding of the page.
_endOfTarget = re.compile(rb"[\0- \x7f]")
_absoluteForm = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,31}://")
_absolutePrefix = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,31}(:/?)?")
_authorityForm = re.compile(rb"[^/?#@]+:[0-9]+")
_CR, _LF = b"\r\n"
_digits = frozenset(b"0123456789")
_anyRequestLine = re.compile(rf"{_WORD} [^\0- \x7f]+ (?i:HTTP)/[0-9]\.[0-9]\r?\n".encode())
# The bytes allowed at each position after the target: a space, and the version.
# A version in lower case is wrong, but is recognized, so that its client is answered.
_version = (
    frozenset(b" "),
    *(frozenset((byte, byte | 0x20)) for byte in b"HTTP"),
    frozenset(b"/"),
    _digits,
    frozenset(b"."),
    _digits,
)

MAX_REQUEST_START = _longestMethod + 1 + _MAX_TARGET + len(_version) + 2
"""
The number of bytes after which L{startsRequest} always returns C{True} or C{False}.
"""


def startsRequest(data: bytes) -> bool | None:
    """
    Check whether a connection begins with an HTTP request: a request line with a registered
    method (upper or lower case), a target, and the version, or a target longer than
    L{_MAX_TARGET}. A request line without a version (HTTP/0.9) counts only if it consists of
    C{GET} and a path. The preface of HTTP/2 also counts.

    @param data: all bytes received so far.
    @return: whether the connection begins with a request; C{None} while more bytes are needed.
        Further bytes never change C{True} or C{False}.
    """
    method, space, rest = data[: _longestMethod + 1].partition(b" ")
    method = method.upper()
    if not space:
        return None if method in _methodPrefixes else False
    if method not in _methods:
        return False
    rest = data[len(method) + 1 :]
    end = _endOfTarget.search(rest, 0, _MAX_TARGET + 1)
    target = rest[: end.start()] if end else rest[: _MAX_TARGET + 1]
    if end is None and len(target) <= _MAX_TARGET:
        return None if _mayBeTarget(method, target) else False
    if not _isTarget(method, target):
        return False
    return True if end is None else _endsLine(rest[end.start() :], method, target)


def hasRequestLine(data: bytes) -> bool:
    """
    Check whether bytes begin with a complete request line with any method, even an
    unregistered method. L{startsRequest} does not detect unregistered methods, because any
    word could be such a method.

    @return: whether the bytes begin with a request line.
    """
    return _anyRequestLine.match(data) is not None


def isPartialRequest(data: bytes) -> bool:
    """
    Check whether bytes contain a method and the beginning of a target. If they do, and no more
    data arrives, they are an incomplete HTTP request; otherwise, they are a short message that
    begins like one.

    @param data: bytes for which L{startsRequest} returns C{None}.
    @return: whether the bytes contain both.
    """
    method, space, target = data.partition(b" ")
    return bool(space and target) and method.upper() in _methods


def _mayBeTarget(method: bytes, target: bytes) -> bool:
    """
    Check whether bytes can be the beginning of a request target.
    """
    return (
        target in (b"", b"*")
        or method == b"CONNECT"
        or target.startswith(b"/")
        or _absolutePrefix.fullmatch(target) is not None
        or _absoluteForm.match(target) is not None
    )


def _isTarget(method: bytes, target: bytes) -> bool:
    """
    Check whether bytes are a request target in origin, asterisk, absolute or authority form
    (RFC 9112, 3.2).
    """
    if method == b"CONNECT" and _authorityForm.fullmatch(target):
        return True
    return target == b"*" or target.startswith(b"/") or _absoluteForm.match(target) is not None


def _endsLine(rest: bytes, method: bytes, target: bytes) -> bool | None:
    """
    Check the version and the end of a request line. The return value has the same meaning as
    in L{startsRequest}.
    """
    if rest[0] in (_CR, _LF):
        # An HTTP/0.9 request has no version, and the method is always GET.
        if method != b"GET" or not target.startswith(b"/"):
            return False
    else:
        for byte, allowed in zip(rest, _version, strict=False):
            if byte not in allowed:
                return False
        rest = rest[len(_version) :]
    line = rest[:2]
    if line in (b"", b"\r"):
        return None
    return line[0] == _LF or line == b"\r\n"


class HTTPAnswer(Exception):
    """
    The answer to an HTTP request. After the answer, the connection is closed.

    @ivar status: the HTTP status.
    @ivar text: the body: one sentence.
    @ivar fields: the header fields, without the fields for type and length of the body.
    @ivar remark: additional text for the log of the server (default: empty).
    """

    remark = ""

    def __init__(self, status: int, text: str, fields: Iterable[tuple[str, str]] = _CLOSE) -> None:
        """
        @param fields: see C{fields} (default C{Connection: close}).
        """
        super().__init__(text)
        self.status = status
        self.text = text
        self.fields = tuple(fields)

    def encode(self, *, body: bool = True) -> bytes:
        """
        Encode the answer.

        @param body: whether to include the body. An answer to C{HEAD} has no body.
        @return: an HTTP/1.1 response with a plain-text body in UTF-8.
        """
        text = f"{self.text}\n".encode()
        lines = [
            f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}",
            *(f"{name}: {value}" for name, value in self.fields),
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(text)}",
        ]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        return head + b"\r\n" + (text if body else b"")


class OtherRequest(HTTPAnswer):
    """
    The request is not a WebSocket handshake, or is not HTTP/1. A web server that shares the
    port can handle the request.
    """


class RequestHead(NamedTuple):
    """
    The head of a request.

    @ivar method: the method, such as C{GET}.
    @ivar path: the path with the query, even if the request contains a whole URL.
    @ivar version: the digit after C{HTTP/1.}.
    @ivar headers: the header fields, by name in lower case. The values of repeated
        fields are joined with commas.
    """

    method: str
    path: str
    version: str
    headers: dict[str, str]

    def tokens(self, name: str) -> list[str]:
        """
        Return the items of a list header field, in lower case.

        @param name: name of the field, in lower case.
        @return: the items; a single empty item if the field is missing.
        """
        return [item.strip().lower() for item in self.headers.get(name, "").split(",")]

    @property
    def query(self) -> dict[str, str]:
        """
        The parameters of the query, percent-decoded. Of parameters with the same name, the first is
        included.
        """
        pairs = parse_qsl(self.path.partition("?")[2], keep_blank_values=True)
        return dict(reversed(pairs))

    @property
    def cookies(self) -> dict[str, str]:
        """
        The cookies by name. Of cookies with the same name, the first is included: it has the
        longest path (RFC 6265, 5.4).
        """
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.partition("=")
            if equals:
                found.setdefault(name.strip(" \t"), value.strip(" \t"))
        return found

    def answer(self) -> HTTPAnswer:
        """
        Return the answer to a request that is not a WebSocket handshake.

        @return: 200 for a health check and C{OPTIONS}; 426 for any other C{GET} or C{HEAD};
            405 for any other registered method; 501 for an unregistered method.
        """
        if self.method in ("GET", "HEAD"):
            if self.path.partition("?")[0] == _HEALTH_PATH:
                return OtherRequest(200, "ok", (*_CLOSE, ("Cache-Control", "no-store")))
            return OtherRequest(426, _EXPLANATION, UPGRADE)
        if self.method == "OPTIONS":
            return OtherRequest(200, _EXPLANATION, (*_CLOSE, _ALLOW))
        if self.method in _METHODS:
            return OtherRequest(
                405, f"The method is not allowed. {_EXPLANATION}", (*_CLOSE, _ALLOW)
            )
        return OtherRequest(501, f"The method is unknown. {_EXPLANATION}")


UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
"""
The header fields with which either side requests an upgrade to WebSocket. OpenFL's draft
WebSocket client compares these fields case-sensitively.
"""

_notInLine = re.compile(rb"[^ -~]")
_end = re.compile(rb"\n\r?\n")
_requestLine = re.compile(rf"({_WORD}) ([!-~]+) HTTP/1\.([01])")
_field = re.compile(rf"({_WORD}):([\t -~\x80-\xff]*)")
_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

# If one of these fields is repeated, two programs could use different values.
_once = frozenset(("host", "origin", "sec-websocket-key", "sec-websocket-version"))


def parseHead(head: bytes) -> RequestHead:
    """
    Parse the head of a request.

    @param head: the bytes of the head, including the empty line at the end.
    @raise OtherRequest: if the bytes are not a head of HTTP/1.0 or HTTP/1.1. Folded lines, and
        lines that end with only LF, are not accepted.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request = _requestLine.fullmatch(first)
    if request is None:
        raise OtherRequest(
            400, "The request line must have the form METHOD TARGET HTTP/1.1 (or HTTP/1.0)."
        )
    method, target, version = request.groups()
    headers: dict[str, list[str]] = {}
    for line in lines:
        field = _field.fullmatch(line)
        if field is None:
            raise OtherRequest(400, "A header field is malformed.")
        name, value = field[1].lower(), field[2].strip(" \t")
        if name not in headers:
            headers[name] = [value]
        elif name in _once:
            raise OtherRequest(400, f"The header field {name} is repeated.")
        else:
            headers[name].append(value)
    joined = {name: ", ".join(values) for name, values in headers.items()}
    return RequestHead(method, _pathOf(target), version, joined)


def _pathOf(target: str) -> str:
    absolute = _absolute.match(target)
    if absolute is None:
        return target
    path = target[absolute.end() :]
    return path if path.startswith("/") else f"/{path}"


class HeadCollector:
    """
    Collects the head of a request from chunks. However the stream is split, each byte is
    inspected only once, except the last two bytes before each new chunk.

    @ivar received: all received bytes.
    """

    def __init__(self, maxHead: int = MAX_HEAD) -> None:
        """
        @param maxHead: maximum length of a head (bytes).
        """
        self.received = bytearray()
        self._maxHead = maxHead
        self._inFirstLine = True

    @property
    def isHEAD(self) -> bool:
        """
        Whether the method is C{HEAD}, so that an answer has no body.
        """
        return self.received.startswith(b"HEAD ")

    def receive(self, data: bytes) -> tuple[bytes, bytes] | None:
        """
        Add a chunk.

        @return: the head, and the bytes after it; C{None} while the head is not
            complete.
        @raise OtherRequest: if the first line is not a request line. The exception is raised
            as soon as this is certain.
        @raise HTTPAnswer: if the head is too long.
        """
        searched = len(self.received)
        self.received += data
        if self._inFirstLine:
            self._checkFirstLine(max(0, searched - 1))
        found = _end.search(self.received, max(0, searched - 2))
        length = found.end() if found else len(self.received)
        if length > self._maxHead:
            raise HTTPAnswer(431, f"The request head must have at most {self._maxHead} bytes.")
        return (bytes(self.received[:length]), bytes(self.received[length:])) if found else None

    def _checkFirstLine(self, start: int) -> None:
        found = _notInLine.search(self.received, start)
        if found is None:
            return
        end = found.start()
        ending = self.received[end : end + 2]
        if ending == b"\r":
            return
        line = self.received[:end].decode("ascii")
        if ending != b"\r\n" or not _requestLine.fullmatch(line):
            raise OtherRequest(400, f"This is not an HTTP/1.1 request. {_EXPLANATION}")
        self._inFirstLine = False
