"""
OpenFL-compatible sockets (C{openfl.net}).

The classes have OpenFL's names and methods, and use the protocols of
L{openfl_twisted.protocols}. Events are dispatched by the reactor, never within the call
that causes them.
"""

from openfl_twisted.net import _listeners
from openfl_twisted.net._ipversion import IPVersion
from openfl_twisted.net._objects import registerClassAlias
from openfl_twisted.net._permission import forgetPolicyFiles
from openfl_twisted.net.datagramsocket import DatagramSocket
from openfl_twisted.net.securesocket import SecureSocket
from openfl_twisted.net.serversocket import ServerSocket
from openfl_twisted.net.socket import Socket
from openfl_twisted.net.xmlsocket import XMLSocket
from openfl_twisted.utils import IDynamicPropertyOutput, IDynamicPropertyWriter, ObjectEncoding

__all__ = [
    "DatagramSocket",
    "IDynamicPropertyOutput",
    "IDynamicPropertyWriter",
    "IPVersion",
    "ObjectEncoding",
    "SecureSocket",
    "ServerSocket",
    "Socket",
    "XMLSocket",
    "forgetPolicyFiles",
    "registerClassAlias",
]

_listeners.install()
