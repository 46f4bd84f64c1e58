"""
The XMLSocket client of Adobe's guide: it connects, sends XML and prints the answers. Run
it with `python xmlsocketclient.py 127.0.0.1 8080`.
"""

import sys

from openfl_twisted import run
from openfl_twisted.events import DataEvent, Event, IOErrorEvent
from openfl_twisted.net import XMLSocket

xmlFormattedData = "<test><data>Hello</data></test>"


class XMLSocketClient:
    """
    Sends a message when it is connected, and prints each received message.
    """

    def __init__(self, host: str, port: int) -> None:
        self.xmlsock = XMLSocket()
        self.xmlsock.addEventListener(Event.CONNECT, self.onConnect)
        self.xmlsock.addEventListener(DataEvent.DATA, self.onData)
        self.xmlsock.addEventListener(IOErrorEvent.IO_ERROR, self.onIOError)
        self.xmlsock.connect(host, port)

    def onConnect(self, event: Event) -> None:
        self.xmlsock.send(xmlFormattedData)

    def onData(self, event: DataEvent) -> None:
        sys.stdout.write(f"[{event.type}] {event.data}\n")
        sys.stdout.flush()

    def onIOError(self, event: IOErrorEvent) -> None:
        sys.stdout.write(f"{event.text}\n")


async def main(host: str, port: str) -> None:
    """
    Run until the connection ends.
    """
    client = XMLSocketClient(host, int(port))
    await client.xmlsock.whenClosed()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
