"""
OpenFL's door: what C{openfl.net} has.

The classes are OpenFL's, with OpenFL's names; behind them are the protocols of
L{openfl_twisted.protocols}. Events are dispatched by the reactor, never within
the call that causes them.
"""

from openfl_twisted.net import reports
from openfl_twisted.net.datagramsocket import DatagramSocket
from openfl_twisted.net.objects import ObjectEncoding, registerClassAlias
from openfl_twisted.net.serversocket import ServerSocket
from openfl_twisted.net.socket import Socket
from openfl_twisted.net.xmlsocket import XMLSocket

__all__ = [
    "DatagramSocket",
    "ObjectEncoding",
    "ServerSocket",
    "Socket",
    "XMLSocket",
    "registerClassAlias",
]

reports.install()
