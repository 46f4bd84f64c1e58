"""
UDP: one socket sends a datagram to another. Run it with C{python datagrams.py}.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from openfl_twisted.events import DatagramSocketDataEvent
from openfl_twisted.net import DatagramSocket
from openfl_twisted.utils import ByteArray


async def main(reactor: Any) -> None:
    """
    Send a datagram from one socket to another.
    """
    receiver = DatagramSocket()
    arrived: Deferred[DatagramSocketDataEvent] = Deferred()
    receiver.addEventListener(DatagramSocketDataEvent.DATA, arrived.callback)
    receiver.bind(0, "127.0.0.1")
    receiver.receive()

    data = ByteArray()
    data.writeUTFBytes("Hello.")
    sender = DatagramSocket()
    sender.bind(0, "127.0.0.1")
    sender.send(data, 0, 0, "127.0.0.1", receiver.localPort)

    event = await arrived
    text = event.data.readUTFBytes(event.data.bytesAvailable)
    sys.stdout.write(f"Received from {event.srcAddress}: {text}\n")
    await sender.close()
    await receiver.close()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)))
