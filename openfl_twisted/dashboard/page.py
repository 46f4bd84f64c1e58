"""
The dashboard (C{--dashboard}): its page and its HTTP interface.

  - The page, its script and its style sheet contain no data, and require no token.
  - Streams of events, and exports, require the token.
  - Commands are C{POST} requests in JSON. They require the token, and are refused if sent by a
    page from another origin.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from hmac import compare_digest
from importlib.resources import files
from typing import IO, Any, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from openfl_twisted.addresses import describe
from openfl_twisted.dashboard.adminhttp import AdminService, Directory, ReadOnlyResource
from openfl_twisted.dashboard.clientlist import ORDERS, SORTS, View
from openfl_twisted.dashboard.streams import DashboardError, DashboardState, DashboardStreams
from openfl_twisted.dashboard.tables import TABLES, encodeTable
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.hostlimit import hostOf
from openfl_twisted.types import AnyClock, AnyServerEndpoint
from openfl_twisted.wire.tokenbucket import TokenBuckets

_MAX_GUESSES = 10
"""
Maximum number of wrong tokens from one address in quick succession.
"""

_GUESS_RATE = 1.0
"""
Number of further wrong tokens allowed per second from one address.
"""

# Maximum number of stored addresses. Beyond this number, the address with the oldest attempt is
# dropped.
_MAX_GUESSERS = 1000

_MAX_REASON = 200
"""
Maximum length of a reason (characters).
"""

_log = packageLogger()

_FILES = {
    b"": ("index.html", "text/html; charset=utf-8"),
    **{
        name.encode(): (name, "text/javascript; charset=utf-8")
        for name in ("dashboard.js", "server.js", "elements.js", "chart.js")
    },
    b"dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
}


class _File(ReadOnlyResource):
    def __init__(self, name: str, contentType: str) -> None:
        super().__init__()
        self._content = (files(__package__) / "static" / name).read_bytes()
        self._type = contentType

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("Content-Type", self._type)
        return self._content


class _TokenChecker:
    def __init__(self, token: str, clock: IReactorTime) -> None:
        self._expected = f"Bearer {token}".encode()
        self._refusing = False
        self._clock = clock
        # The addresses that have sent a wrong token.
        self._guesses: TokenBuckets[str | None] = TokenBuckets(
            _GUESS_RATE, _MAX_GUESSERS, _MAX_GUESSES
        )

    def check(self, request: Request) -> None:
        """
        Check the token of a request.

        @raise DashboardError: if the token is missing or wrong, or if the address has sent too
            many wrong tokens.
        """
        given = request.requestHeaders.getRawHeaders(b"authorization", [b""])[-1]
        host = hostOf(request.getClientAddress())
        # This counts an attempt. A correct token resets the count.
        if given and not self._guesses.take(host, self._clock.seconds()):
            request.setHeader("Retry-After", "1")
            raise DashboardError(429, "too many wrong tokens from this address; try again later")
        if compare_digest(given, self._expected):
            self._refusing = False
            self._guesses.reset(host)
            return
        # Log one line for consecutive guesses. A request without a token is not a guess.
        if given and not self._refusing:
            self._refusing = True
            _log.warn(
                "{peer} refused: wrong dashboard token",
                peer=request.getClientAddress(),
            )
        request.setHeader("WWW-Authenticate", "Bearer")
        raise DashboardError(401, "wrong dashboard token")


class _ProtectedResource(Resource):
    """
    A resource that requires the token.

    @cvar method: the only method of the resource.
    """

    isLeaf = True
    method = b"GET"

    def __init__(self, checker: _TokenChecker, state: DashboardStreams) -> None:
        super().__init__()
        self._checker = checker
        self.state = state

    def render(self, request: Request) -> bytes | int:
        """
        Check the token, then respond; errors are reported as JSON.
        """
        try:
            self._checker.check(request)
            if request.method != self.method:
                request.setHeader("Allow", self.method)
                raise DashboardError(405, f"the method must be {self.method.decode()}")
            return self.answer(request)
        except DashboardError:
            return _json(request, _problem(request, Failure()))

    def answer(self, request: Request) -> bytes | int:
        """
        Respond to a request with a valid token. Subclasses must override this
        method.

        @raise DashboardError: if the request fails.
        """
        raise NotImplementedError


def _json(request: Request, answer: dict[str, Any]) -> bytes:
    request.setHeader("Content-Type", "application/json")
    return json.dumps(answer).encode("ascii")


def _problem(request: Request, failure: Failure) -> dict[str, Any]:
    """
    Set the status code of the response to a failed request, and return the body of the
    response. Log an unexpected error.
    """
    problem = failure.value
    if not isinstance(problem, DashboardError):
        # Such as an error in the broadcast method of the application.
        _log.failure("the request failed", failure)
        problem = DashboardError(500, "internal error; see the log of the server")
    request.setResponseCode(problem.status)
    return {"problem": str(problem)}


def _finishLater(request: Request, body: Deferred[bytes]) -> None:
    """
    Respond to a request when the body of the response is known.

    @param body: fires with the body; a failure is reported as JSON.
    """

    def fail(failure: Failure) -> bytes:
        return _json(request, _problem(request, failure))

    def finish(content: bytes) -> None:
        # The browser may have disconnected in the meantime.
        if request.channel is not None:
            request.write(content)
            request.finish()

    done = body.addErrback(fail).addCallback(finish)
    done.addErrback(lambda failure: _log.failure("the request failed", failure))


def _parameter(request: Request, name: str, default: str = "", allowed: Sequence[str] = ()) -> str:
    """
    Return a parameter of the query.

    @param allowed: the allowed values; empty for any value.
    @raise DashboardError: if the value is not allowed.
    """
    given: bytes = (request.args or {}).get(name.encode(), [default.encode()])[0]
    value = given.decode(errors="replace")
    if allowed and value not in allowed:
        raise DashboardError(400, f"{name} must be one of {', '.join(allowed)}")
    return value


def _viewOf(request: Request) -> View:
    """
    Return the view that a request selects.

    @raise DashboardError: if a parameter is invalid.
    """
    return View(
        _parameter(request, "find").lower(),
        _parameter(request, "sort", SORTS[0], SORTS),
        _parameter(request, "order", ORDERS[0], ORDERS),
        _parameter(request, "room"),
    )


class _StateResource(_ProtectedResource):
    def answer(self, request: Request) -> int:
        self.state.showState(request, _viewOf(request))
        return NOT_DONE_YET


class _JSONExportResource(_ProtectedResource):
    """
    The state and the history as JSON.
    """

    def answer(self, request: Request) -> int:
        state = self.state.export(_viewOf(request))
        _finishLater(request, state.addCallback(partial(_json, request)))
        return NOT_DONE_YET


class _CSVExportResource(_ProtectedResource):
    """
    A table of the state or the history as CSV.
    """

    def answer(self, request: Request) -> int:
        table = _parameter(request, "table", TABLES[0], TABLES)

        def encode(state: dict[str, Any]) -> bytes:
            request.setHeader("Content-Type", "text/csv; charset=utf-8")
            request.setHeader("Content-Disposition", f'attachment; filename="{table}.csv"')
            return encodeTable(state, table).encode(errors="backslashreplace")

        _finishLater(request, self.state.export(_viewOf(request)).addCallback(encode))
        return NOT_DONE_YET


class _MessagesResource(_ProtectedResource):
    """
    The stream of a client's messages. The last segment of the path is the number of the
    client.
    """

    def answer(self, request: Request) -> int:
        number = b"/".join(request.postpath or [])
        # A client's number never has more than twelve digits.
        if not number.isdigit() or len(number) > 12:
            raise DashboardError(404, "the path must end with the number of a client")
        self.state.showMessages(request, int(number))
        return NOT_DONE_YET


class _CommandResource(_ProtectedResource):
    method = b"POST"

    def __init__(
        self,
        checker: _TokenChecker,
        state: DashboardStreams,
        do: Callable[[DashboardStreams, dict[str, Any], str], Deferred[dict[str, Any]]],
    ) -> None:
        """
        @param do: called with the state, the body of the request, and the address
            of the client; returns a C{Deferred} that fires with the body of the response.
        """
        super().__init__(checker, state)
        self._do = do

    def answer(self, request: Request) -> int:
        origin, host = request.getHeader("Origin"), request.getHeader("Host")
        if origin is not None and origin.partition("://")[2] != host:
            raise DashboardError(403, "requests from pages of another origin are not allowed")
        kind = (request.getHeader("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise DashboardError(415, "the content type must be application/json")
        try:
            asked = json.load(cast("IO[bytes]", request.content))
        except (ValueError, RecursionError):
            raise DashboardError(400, "the request body must be JSON") from None
        if not isinstance(asked, dict):
            raise DashboardError(400, "the request body must be a JSON object")
        done = self._do(self.state, asked, describe(request.getClientAddress()))
        _finishLater(request, done.addCallback(partial(_json, request)))
        return NOT_DONE_YET


def _reasonOf(asked: dict[str, Any]) -> str | None:
    """
    Return the reason of a command as printable text; C{None} if it is not a string.
    """
    reason = asked.get("reason", "")
    if not isinstance(reason, str):
        return None
    printable = "".join(each if each.isprintable() else " " for each in reason[:_MAX_REASON])
    return printable.strip()


def _kick(state: DashboardStreams, asked: dict[str, Any], by: str) -> Deferred[dict[str, Any]]:
    id, reason = asked.get("id"), _reasonOf(asked)
    if type(id) is not int or reason is None:
        raise DashboardError(400, "id must be a number and reason a string")
    reason = f"{reason or 'no reason'} (dashboard, {by})"
    return maybeDeferred(state.kick, id, reason).addCallback(lambda _: {"kicked": id})


def _broadcast(state: DashboardStreams, asked: dict[str, Any], by: str) -> Deferred[dict[str, Any]]:
    text = asked.get("text")
    if not isinstance(text, str) or "\0" in text:
        raise DashboardError(400, "text must be a string without NUL characters")

    def sent(count: int) -> dict[str, Any]:
        _log.info("{by} sent a message to {count} clients (dashboard)", by=by, count=count)
        return {"hearers": count}

    return maybeDeferred(state.broadcast, text).addCallback(sent)


def _block(state: DashboardStreams, asked: dict[str, Any], by: str) -> Deferred[dict[str, Any]]:
    address, seconds, reason = asked.get("address"), asked.get("seconds"), _reasonOf(asked)
    if not isinstance(address, str) or type(seconds) not in (int, float) or reason is None:
        raise DashboardError(400, "address and reason must be strings, and seconds a number")
    reason = f"{reason or 'no reason'} (dashboard, {by})"
    done = maybeDeferred(state.block, address, cast("float", seconds), reason)
    return done.addCallback(lambda block: {"blocked": block._asdict()})


def _unblock(state: DashboardStreams, asked: dict[str, Any], by: str) -> Deferred[dict[str, Any]]:
    address = asked.get("address")
    if not isinstance(address, str):
        raise DashboardError(400, "address must be a string")
    done = maybeDeferred(state.unblock, address)
    return done.addCallback(lambda _: {"unblocked": address})


def _closeRoom(state: DashboardStreams, asked: dict[str, Any], by: str) -> Deferred[dict[str, Any]]:
    room, reason = asked.get("room"), _reasonOf(asked)
    if not isinstance(room, str) or reason is None:
        raise DashboardError(400, "room and reason must be strings")
    text = "the room was closed by the operator" + (f": {reason}" if reason else "")

    def closed(count: int) -> dict[str, Any]:
        _log.info(
            "{by} closed the room {room} with {count} members: {reason} (dashboard)",
            by=by,
            room=room,
            count=count,
            reason=reason or "no reason",
        )
        return {"members": count}

    return maybeDeferred(state.closeRoom, room, text).addCallback(closed)


def _dashboardResource(state: DashboardStreams, token: str) -> Resource:
    """
    Create the resources of a dashboard.
    """
    root = Directory()
    for path, (name, contentType) in _FILES.items():
        root.putChild(path, _File(name, contentType))
    checker = _TokenChecker(token, state.clock)
    root.putChild(b"state", _StateResource(checker, state))
    root.putChild(b"messages", _MessagesResource(checker, state))
    root.putChild(b"kick", _CommandResource(checker, state, _kick))
    root.putChild(b"say", _CommandResource(checker, state, _broadcast))
    root.putChild(b"block", _CommandResource(checker, state, _block))
    root.putChild(b"unblock", _CommandResource(checker, state, _unblock))
    root.putChild(b"closeroom", _CommandResource(checker, state, _closeRoom))
    root.putChild(b"export.json", _JSONExportResource(checker, state))
    root.putChild(b"export.csv", _CSVExportResource(checker, state))
    return root


class DashboardService(AdminService):
    """
    The dashboard of a server, on a separate port.

    @ivar token: the access token.
    @ivar state: the state and the streams that the pages show.
    """

    log = packageLogger()

    def __init__(
        self,
        service: Any,
        endpoint: AnyServerEndpoint,
        token: str | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param service: the server, see L{Monitored}.
        @param token: the access token (default: generated and logged).
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self.token = token or secrets.token_urlsafe(16)
        self.state = self.makeState(service, clock)
        super().__init__(
            endpoint, _dashboardResource(self.state, self.token), self._logAddress, clock
        )
        self._isSecret = token is not None

    def makeState(self, service: Any, clock: AnyClock | None) -> DashboardStreams:
        """
        Create the streams of the dashboard.

        @param service: the server.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        @return: the streams.
        """
        return DashboardState(service, clock)

    def _logAddress(self, at: str) -> None:
        if self._isSecret:
            self.log.info("dashboard on {at}", at=at)
        else:
            self.log.info("dashboard on {at}#{token}", at=at, token=self.token)

    def startService(self) -> None:
        super().startService()
        self.state.start()

    def stopService(self) -> Deferred[None]:
        self.state.close()
        return super().stopService()
