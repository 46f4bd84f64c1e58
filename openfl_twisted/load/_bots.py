"""
The interface of a bot, and the bot that C{openfl-load} uses by default.
"""

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol, runtime_checkable

from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Factory

from openfl_twisted.coroutines import HandlerResult
from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.streamprotocol import StreamFactory
from openfl_twisted.protocols.telnet import TelnetFactory, TelnetProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.wire.firstbytes import FOREIGN

MIN_SIZE = 40
"""
Minimum size of a message of the default bot (characters): the element and its numbers.
"""


@runtime_checkable
class Bot(Protocol):
    """
    The interface of a bot: a protocol class of this package or of Twisted, with a method
    L{act}. C{openfl-load} creates each bot without arguments and connects it to the server.

    By default, each message that L{act} sends is a request, and each received message is the
    answer to the oldest unanswered request. A bot that inherits L{TimedBot} decides itself
    which data is an answer.

    On a protocol without messages, each write is a request, and received data is the answer
    to all unanswered requests.
    """

    def act(self) -> HandlerResult:
        """
        Called C{--rate} times per second while the bot is connected: send a request. It can be
        a coroutine function; while it runs, it is not called again.
        """


class TimedBot:
    """
    Base class of a bot that decides which data is an answer: it calls L{countAnswer}. Each call
    of C{act} that sends data is one request.

    @ivar onAnswer: called by L{countAnswer}; set by the load test.
    """

    onAnswer: Callable[[], object] | None = None

    def countAnswer(self) -> None:
        """
        Measure the answer time of the oldest unanswered request. Nothing happens if there is
        no unanswered request, or if the bot does not run in a load test.
        """
        if self.onAnswer is not None:
            self.onAnswer()


class EchoBot(TimedBot, XMLSocketProtocol):
    """
    The default bot: sends unique messages to an echo server. Only the same message is an
    answer, so messages from other bots are not.
    """

    def __init__(self, number: int, size: int) -> None:
        """
        @param number: the number of the bot, which must be unique.
        @param size: the length of a message in characters, without its NUL byte; at least
            L{MIN_SIZE}.
        """
        self._number = number
        self._size = size
        self._count = 0
        self._unanswered: deque[str] = deque()

    def act(self) -> None:
        """
        Send the next message, which contains the numbers of the bot and of the message.
        """
        self._count += 1
        start = f'<load id="{self._number}-{self._count}">'
        message = f"{start}{'x' * (self._size - len(start) - len('</load>'))}</load>"
        self._unanswered.append(message)
        self.sendMessage(message)

    def messageReceived(self, message: str) -> None:
        if self._unanswered and message == self._unanswered[0]:
            self._unanswered.popleft()
            self.countAnswer()


def terminatorOf(bot: IProtocol) -> bytes:
    """
    Return the bytes that end a message of a bot's protocol; empty for a protocol without
    messages.
    """
    return b"\0" if isinstance(bot, XMLSocketProtocol) else b""


def echoFactory(size: int, clock: IReactorTime) -> Factory[Any]:
    """
    Create the factory of L{EchoBot}.

    @param size: the length of a message, see L{EchoBot}.
    @param clock: the clock.
    """
    numbers = count()
    return _xmlFactory(lambda: EchoBot(next(numbers), size), clock)


def botFactory(bot: type[Any], clock: IReactorTime) -> Factory[Any]:
    """
    Create the factory of a bot.

    @param bot: the class of the bot.
    @param clock: the clock.
    @return: the client factory for the bot's protocol.
    """
    if issubclass(bot, XMLSocketProtocol):
        return _xmlFactory(bot, clock)
    factory: Factory[Any]
    if issubclass(bot, BinarySocketProtocol):
        factory = BinarySocketFactory(bot)
    elif issubclass(bot, TelnetProtocol):
        factory = TelnetFactory(bot)
    else:
        factory = Factory.forProtocol(bot)
    if isinstance(factory, StreamFactory):
        factory.clock = clock
    factory.noisy = False
    return factory


def _xmlFactory(bot: Callable[[], XMLSocketProtocol], clock: IReactorTime) -> Factory[Any]:
    # A client answers no policy requests. It accepts whatever the server sends first.
    return XMLSocketFactory(bot, policy=None, passThrough=FOREIGN, clock=clock)
