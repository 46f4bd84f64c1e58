"""
Recorded sessions: what a client and a server said on one connection.

  - L{Session}: a session, which can be loaded, saved and converted.
  - L{Masks}: the parts of messages that may differ when a session is replayed.
  - L{Script}: compares what a peer says with a session, and returns what to send.
  - L{Recorder} and L{RecordingFactory}: record the connections of a server.
  - L{PlayerFactory}: plays the server of recorded sessions.
  - L{RunPlayer}: plays the clients of recorded sessions.

The command C{openfl-session} shows, plays and converts sessions.
"""

from typing import TYPE_CHECKING

from openfl_twisted.lazyimports import lazyImporter

if TYPE_CHECKING:
    from openfl_twisted.sessions._masks import Masks
    from openfl_twisted.sessions._player import PlayerFactory
    from openfl_twisted.sessions._recorder import Recorder
    from openfl_twisted.sessions._recording import RecordingFactory
    from openfl_twisted.sessions._runplayer import RunPlayer
    from openfl_twisted.sessions._script import Difference, Script
    from openfl_twisted.sessions._session import Gap, Header, Message, Session, SessionError

__all__ = [
    "Difference",
    "Gap",
    "Header",
    "Masks",
    "Message",
    "PlayerFactory",
    "Recorder",
    "RecordingFactory",
    "RunPlayer",
    "Script",
    "Session",
    "SessionError",
]

_MODULES = {
    "Difference": "_script",
    "Gap": "_session",
    "Header": "_session",
    "Masks": "_masks",
    "Message": "_session",
    "PlayerFactory": "_player",
    "Recorder": "_recorder",
    "RecordingFactory": "_recording",
    "RunPlayer": "_runplayer",
    "Script": "_script",
    "Session": "_session",
    "SessionError": "_session",
}

__getattr__ = lazyImporter(__name__, _MODULES)
