"""
What a browser can ask the dashboard for.

  - The page, its script and its style: by everybody, since they say nothing.
  - Streams of events, with the token.
  - What changes something: a C{POST} with the token, in JSON, and not from a
    page that is somebody else's.
"""

import json
import secrets
from collections.abc import Callable
from hmac import compare_digest
from importlib.resources import files
from typing import IO, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from openfl_twisted.addresses import describe
from openfl_twisted.dashboard.adminhttp import Folder, Page, SiteService
from openfl_twisted.dashboard.status import Watched
from openfl_twisted.dashboard.streams import Watch, WatchError
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.hosts import hostOf
from openfl_twisted.wire.tokenbucket import TokenBucket

MAX_GUESSES = 10
"""
Maximum number of wrong tokens of one address in quick succession.
"""

GUESS_RATE = 1.0
"""
Number of further wrong tokens of one address per second.
"""

# Above it, the address whose last attempt is the oldest is forgotten.
_MAX_GUESSERS = 1000

MAX_REASON = 200
"""
How many characters a reason has at most.
"""

_log = packageLogger()

_FILES = {
    b"": ("index.html", "text/html; charset=utf-8"),
    b"dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
    b"dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
}


class _File(Page):
    """
    A file of the page.
    """

    def __init__(self, name: str, contentType: str) -> None:
        super().__init__()
        self._content = (files(__package__) / "static" / name).read_bytes()
        self._type = contentType

    def render_GET(self, request: Request) -> bytes:
        """
        Give it.
        """
        request.setHeader("Content-Type", self._type)
        return self._content


class _Keeper:
    """
    Lets in who knows the token.
    """

    def __init__(self, token: str, clock: IReactorTime) -> None:
        self._expected = f"Bearer {token}".encode()
        self._refusing = False
        self._clock = clock
        # The addresses that sent a wrong token, the most recent last.
        self._guesses: dict[str | None, TokenBucket] = {}

    def check(self, request: Request) -> None:
        """
        Check that a request has the token.

        @raise WatchError: if not, or if its address has sent too many wrong ones.
        """
        given = request.requestHeaders.getRawHeaders(b"authorization", [b""])[-1]
        host = hostOf(request.getClientAddress())
        if given and not self._mayGuess(host):
            request.setHeader("Retry-After", "1")
            raise WatchError(429, "too many wrong tokens from this address; try again later")
        if compare_digest(given, self._expected):
            self._refusing = False
            self._guesses.pop(host, None)
            return
        # One line, not one for each guess. Who has only opened the page has not guessed.
        if given and not self._refusing:
            self._refusing = True
            _log.warn(
                "{peer} refused: it does not know the dashboard's token",
                peer=describe(request.getClientAddress()),
            )
        request.setHeader("WWW-Authenticate", "Bearer")
        raise WatchError(401, "this is not the dashboard's token")

    def _mayGuess(self, host: str | None) -> bool:
        """
        Count an attempt of an address. A correct token resets the count.
        """
        now = self._clock.seconds()
        guesses = self._guesses.pop(host, None) or TokenBucket(GUESS_RATE, now, MAX_GUESSES)
        self._guesses[host] = guesses
        if len(self._guesses) > _MAX_GUESSERS:
            del self._guesses[next(iter(self._guesses))]
        return guesses.take(1, now)


class _Kept(Resource):
    """
    Something for which one needs the token.

    @cvar method: the one method that it has.
    """

    isLeaf = True
    method = b"GET"

    def __init__(self, keeper: _Keeper, watch: Watch) -> None:
        super().__init__()
        self._keeper = keeper
        self.watch = watch

    def render(self, request: Request) -> bytes | int:
        """
        Answer, if the token is right; what cannot be done is told in JSON.
        """
        try:
            self._keeper.check(request)
            if request.method != self.method:
                request.setHeader("Allow", self.method)
                raise WatchError(405, f"this is a {self.method.decode()}")
            return self.answer(request)
        except WatchError as problem:
            request.setResponseCode(problem.status)
            return _json(request, {"problem": str(problem)})

    def answer(self, request: Request) -> bytes | int:
        """
        Answer; override this.

        @raise WatchError: if that cannot be done.
        """
        raise NotImplementedError


def _json(request: Request, answer: dict[str, Any]) -> bytes:
    """
    Write an answer.
    """
    request.setHeader("Content-Type", "application/json")
    return json.dumps(answer).encode("ascii")


class _State(_Kept):
    """
    The stream of the state.
    """

    def answer(self, request: Request) -> int:
        """
        Begin it.
        """
        find = (request.args or {}).get(b"find", [b""])[0]
        self.watch.showState(request, find.decode(errors="replace"))
        return NOT_DONE_YET


class _Messages(_Kept):
    """
    The stream of the messages of a client, whose number is the rest of the path.
    """

    def answer(self, request: Request) -> int:
        """
        Begin it.
        """
        number = b"/".join(request.postpath or [])
        # Twelve digits are enough for all connections that there can ever be.
        if not number.isdigit() or len(number) > 12:
            raise WatchError(404, "a client has a number")
        self.watch.showMessages(request, int(number))
        return NOT_DONE_YET


class _Deed(_Kept):
    """
    Something that changes something.
    """

    method = b"POST"

    def __init__(
        self, keeper: _Keeper, watch: Watch, do: Callable[[Watch, dict[str, Any], str], Any]
    ) -> None:
        """
        @param do: does it. It gets what the request says, and who asks; what it
            returns is the answer.
        """
        super().__init__(keeper, watch)
        self._do = do

    def answer(self, request: Request) -> bytes:
        """
        Do it.
        """
        origin, host = request.getHeader("Origin"), request.getHeader("Host")
        if origin is not None and origin.partition("://")[2] != host:
            raise WatchError(403, "another site's page may not do this")
        kind = (request.getHeader("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise WatchError(415, "this takes application/json")
        try:
            asked = json.load(cast("IO[bytes]", request.content))
        except (ValueError, RecursionError):
            raise WatchError(400, "this is not JSON") from None
        if not isinstance(asked, dict):
            raise WatchError(400, "this takes an object")
        return _json(request, self._do(self.watch, asked, describe(request.getClientAddress())))


def _kick(watch: Watch, asked: dict[str, Any], by: str) -> dict[str, Any]:
    """
    Close a client: C{id} is its number, C{reason} is for the log.
    """
    id, reason = asked.get("id"), asked.get("reason", "")
    if type(id) is not int or not isinstance(reason, str):
        raise WatchError(400, "this takes a number id, and text reason")
    printable = "".join(each if each.isprintable() else " " for each in reason[:MAX_REASON])
    if not watch.overview.guard.kick(id, f"{printable.strip() or 'no reason'} (dashboard, {by})"):
        raise WatchError(404, "this client is not connected any more")
    return {"kicked": id}


def _say(watch: Watch, asked: dict[str, Any], by: str) -> dict[str, Any]:
    """
    Send a message to all: C{text}.
    """
    text, served = asked.get("text"), watch.overview.served
    if not isinstance(text, str) or "\0" in text:
        raise WatchError(400, "this takes text, without a zero byte")
    if not hasattr(served, "broadcast"):
        raise WatchError(409, "the clients of this server get no messages")
    hearers = len(served.connections)
    served.broadcast(text)
    _log.info("dashboard, {by}: a message to all {hearers}", by=by, hearers=hearers)
    return {"hearers": hearers}


def dashboardResource(watch: Watch, token: str) -> Resource:
    """
    Make everything that the dashboard serves.

    @param watch: the streams, and what they show.
    @param token: who knows it may use the dashboard.
    @return: the root: the page is at C{/}, its streams and deeds beneath it.
    """
    root = Folder()
    for path, (name, contentType) in _FILES.items():
        root.putChild(path, _File(name, contentType))
    keeper = _Keeper(token, watch.clock)
    root.putChild(b"state", _State(keeper, watch))
    root.putChild(b"messages", _Messages(keeper, watch))
    root.putChild(b"kick", _Deed(keeper, watch, _kick))
    root.putChild(b"say", _Deed(keeper, watch, _say))
    return root


class DashboardService(SiteService):
    """
    The dashboard of a server.

    @ivar token: who knows it may use the dashboard.
    @ivar watch: who looks on.
    """

    log = packageLogger()

    def __init__(
        self,
        service: Watched,
        endpoint: IStreamServerEndpoint,
        token: str | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param service: the server.
        @param endpoint: where the dashboard is.
        @param token: who knows it may use the dashboard; C{None} for one that is
            made, and written into the log.
        @param clock: for the times; the reactor if there is none.
        """
        self.token = token or secrets.token_urlsafe(16)
        self.watch = Watch(service, clock)
        super().__init__(endpoint, dashboardResource(self.watch, self.token), self._tell, clock)
        self._secret = token is not None

    def _tell(self, at: str) -> None:
        if self._secret:
            self.log.info("dashboard on {at}", at=at)
        else:
            self.log.info("dashboard on {at}#{token}", at=at, token=self.token)

    def stopService(self) -> Deferred[None]:
        """
        Close the port, and the connections of who looks on.
        """
        self.watch.close()
        return super().stopService()
