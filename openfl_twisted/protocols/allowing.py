"""
The hook C{allow} of an application. It decides whether a client can open a WebSocket, before the
handshake is accepted.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from inspect import getattr_static, isfunction
from typing import Any, NamedTuple, Self, TypeAlias

from twisted.internet.interfaces import IAddress

from openfl_twisted.protocols.streamprotocol import MESSAGE_NAMES
from openfl_twisted.wire.httprequest import HTTPAnswer, RequestHead

_STATUSES = frozenset(status.value for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST)


class WebSocketRequest(NamedTuple):
    """
    The opening handshake of a WebSocket.

    @ivar path: the path without the query, as sent: it is not percent-decoded.
    @ivar query: the parameters of the query, percent-decoded. Of parameters with the same name,
        it contains the first.
    @ivar headers: the header fields, by lower-case name. The values of repeated fields are joined
        with commas.
    @ivar cookies: the cookies by name. Of cookies with the same name, it contains the first.
    @ivar peer: the address of the client, also if a trusted proxy has reported it.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    peer: IAddress

    @classmethod
    def fromHead(cls, head: RequestHead, peer: IAddress) -> Self:
        """
        Create the request from the head of an HTTP request.

        @param peer: the address of the client.
        """
        return cls(head.path.partition("?")[0], head.query, head.headers, head.cookies, peer)


AllowHook: TypeAlias = Callable[[WebSocketRequest], Any]
"""
The hook: a function, a coroutine function, or a function that returns a C{Deferred}. Its result is
C{True} to accept the WebSocket, C{False} to answer 403, or another HTTP status from 400 to 599.
"""


def allowHookOf(factory: Any) -> AllowHook | None:
    """
    Find the hook of an application: the method C{allow} of its factory, or of its protocol class.

    @param factory: the factory of the application, or a factory that wraps it.
    @return: the hook; C{None} if the application has no hook.
    @raise TypeError: if the hook of the protocol class is not a class method or a static method.
    """
    while factory is not None:
        for owner in (factory, getattr(factory, "protocol", None)):
            hook = hookOf(owner)
            if hook is not None:
                return hook
        factory = getattr(factory, "wrappedFactory", None)
    return None


def hookOf(owner: Any) -> AllowHook | None:
    """
    Return the hook of a factory or of a protocol class.

    @param owner: the factory, or the class.
    @return: the hook; C{None} if there is no hook. The handler of a message is not a hook.
    @raise TypeError: if the hook of a protocol class is not a class method or a static method.
    """
    method = getattr_static(owner, "allow", None) if isinstance(owner, type) else None
    if isfunction(method):
        if hasattr(method, MESSAGE_NAMES):
            return None
        raise TypeError(
            f"{owner.__name__}.allow is called before a protocol is created: decorate it with"
            " @classmethod"
        )
    hook: AllowHook | None = getattr(owner, "allow", None)
    return hook


def answerTo(result: object) -> HTTPAnswer | None:
    """
    Convert the result of a hook.

    @param result: the result.
    @return: the answer with which the request is refused; C{None} if it is accepted.
    @raise TypeError: if the result is invalid.
    """
    if result is True:
        return None
    status = HTTPStatus.FORBIDDEN.value if result is False else result
    if not isinstance(status, int) or status not in _STATUSES:
        raise TypeError(
            f"allow must return True, False or an HTTP status from 400 to 599, not {result!r:.80}"
        )
    return HTTPAnswer(status, "The server does not allow this connection.")
