"""
The head of the HTTP request that opens a WebSocket, and the answers to those
that do not.

Nothing of HTTP is here beyond what RFC 6455 asks of a server: one head is read,
and it is either what it should be, or answered and the end.
"""

import http
import re
from collections.abc import Iterable
from typing import NamedTuple

MAX_HEAD = 16 * 1024
"""
The longest head that is taken if nobody says otherwise, in bytes: 16 KiB. The
cookies of a host, which a browser sends along, can be some thousand bytes.
"""

WEBSOCKET = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
"""
The two header fields by which either side says that it wants to go on as a
WebSocket. OpenFL's draft of a client compares their case too.
"""

_EXPLANATION = (
    "This port speaks WebSocket, for programs written with OpenFL or Flash. "
    "There are no web pages here."
)

_notInLine = re.compile(rb"[^ -~]")
_end = re.compile(rb"\n\r?\n")
_requestLine = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])")
_field = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)")
_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

# What is asked for these must not depend on which of two is looked at.
_once = frozenset(("host", "origin", "sec-websocket-key", "sec-websocket-version"))


class Refusal(Exception):
    """
    The request is answered with an error, and the connection is closed.

    @ivar status: the HTTP status.
    @ivar text: why, in one sentence.
    @ivar fields: header fields to send with it.
    """

    def __init__(
        self,
        status: int,
        text: str,
        fields: Iterable[tuple[str, str]] = (("Connection", "close"),),
    ) -> None:
        """
        @param status: see the attribute.
        @param text: see the attribute.
        @param fields: see the attribute; by default the connection is said to
            close.
        """
        super().__init__(text)
        self.status = status
        self.text = text
        self.fields = tuple(fields)

    def answer(self, *, body: bool = True) -> bytes:
        """
        Write the answer.

        @param body: whether the text goes along; it does not in the answer to
            C{HEAD}.
        @return: an answer of HTTP/1.1 whose body is text in UTF-8.
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


class NoUpgrade(Refusal):
    """
    What has come does not ask for a WebSocket: it is another request of HTTP,
    or no HTTP at all.
    """


class RequestHead(NamedTuple):
    """
    The head of a request.

    @ivar method: C{GET}, or another.
    @ivar path: the path with the query, also if the request has a whole URL.
    @ivar version: the digit behind C{HTTP/1.}.
    @ivar headers: the header fields: names in small letters; the values of
        several with one name are joined with commas.
    """

    method: str
    path: str
    version: str
    headers: dict[str, str]

    @property
    def isUpgrade(self) -> bool:
        """
        Whether it asks for a WebSocket. HTTP/1.0 cannot.
        """
        wanted = "websocket" in self.tokens("upgrade")
        return wanted and self.method == "GET" and self.version == "1"

    def tokens(self, name: str) -> list[str]:
        """
        Get the items of a header field that is a list, in small letters.

        @param name: the name of the field, in small letters.
        @return: the items; a single empty one if there is no such field.
        """
        return [item.strip().lower() for item in self.headers.get(name, "").split(",")]

    def check(self) -> None:
        """
        Check that it asks in the way in which RFC 6455 has it; but for its key,
        and for what it offers.

        @raise NoUpgrade: if it does not ask for a WebSocket.
        @raise Refusal: if it does in a wrong way.
        """
        if not self.isUpgrade:
            raise NoUpgrade(426, _EXPLANATION, WEBSOCKET)
        if not self.path.startswith("/"):
            raise Refusal(400, "The request names no path.")
        if "host" not in self.headers:
            raise Refusal(400, "The request has no Host.")
        if "upgrade" not in self.tokens("connection"):
            raise Refusal(400, "The request has no Connection: Upgrade.")
        if "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0":
            raise Refusal(400, "The request has a body.")
        if self.headers.get("sec-websocket-version") != "13":
            raise Refusal(
                426,
                "There is no version of WebSocket here but 13.",
                (*WEBSOCKET, ("Sec-WebSocket-Version", "13")),
            )


def parseHead(head: bytes) -> RequestHead:
    """
    Read a head.

    @param head: all its bytes, with the empty line at its end.
    @raise NoUpgrade: if it is not a head of HTTP. Lines that are folded, or
        ended by LF alone, are not.
    @raise NoUpgrade: if it is not a head of HTTP/1.0 or HTTP/1.1. Lines that
        are folded, or ended by LF alone, are not.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request = _requestLine.fullmatch(first)
    if request is None:
        raise NoUpgrade(400, "The request line is none of HTTP.")
    method, target, version = request.groups()
    headers: dict[str, str] = {}
    for line in lines:
        field = _field.fullmatch(line)
        if field is None:
            raise NoUpgrade(400, "A header field is malformed.")
        name, value = field[1].lower(), field[2].strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in _once:
            raise NoUpgrade(400, f"There are two header fields {name}.")
        else:
            headers[name] += f", {value}"
    return RequestHead(method, _pathOf(target), version, headers)


def _pathOf(target: str) -> str:
    """
    Get path and query of what stands in a request line, which may be a URL.
    """
    absolute = _absolute.match(target)
    if absolute is None:
        return target
    path = target[absolute.end() :]
    return path if path.startswith("/") else f"/{path}"


class HeadCollector:
    """
    Collects a head. However it is cut, no byte is looked at twice, but for the
    two before a cut.

    @ivar received: all that has come.
    """

    def __init__(self, maxHead: int = MAX_HEAD) -> None:
        """
        @param maxHead: the longest head, in bytes.
        """
        self.received = bytearray()
        self._maxHead = maxHead
        self._inFirstLine = True

    def receive(self, data: bytes) -> tuple[bytes, bytes] | None:
        """
        Take the next piece.

        @param data: the piece.
        @return: the head and what has come behind it; C{None} while the head is
            not complete.
        @raise NoUpgrade: if the first line is not one of HTTP. This is said as
            soon as it is clear.
        @raise Refusal: if the head is too long.
        """
        searched = len(self.received)
        self.received += data
        if self._inFirstLine:
            self._checkFirstLine(max(0, searched - 1))
        found = _end.search(self.received, max(0, searched - 2))
        length = found.end() if found else len(self.received)
        if length > self._maxHead:
            raise Refusal(431, f"The head of the request is over {self._maxHead} bytes.")
        return (bytes(self.received[:length]), bytes(self.received[length:])) if found else None

    def _checkFirstLine(self, start: int) -> None:
        """
        Look at the first line, if it is complete or cannot become one.
        """
        found = _notInLine.search(self.received, start)
        if found is None:
            return
        end = found.start()
        ending = self.received[end : end + 2]
        if ending == b"\r":
            return
        line = self.received[:end].decode("ascii")
        if ending != b"\r\n" or not _requestLine.fullmatch(line):
            raise NoUpgrade(400, f"That is not a request of HTTP. {_EXPLANATION}")
        self._inFirstLine = False
