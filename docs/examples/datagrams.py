"""
UDP: one socket sends a datagram to another. Run it with `python datagrams.py`.
"""

import sys

from twisted.internet.defer import Deferred

from openfl_twisted import run
from openfl_twisted.events import DatagramSocketDataEvent
from openfl_twisted.net import DatagramSocket
from openfl_twisted.utils import ByteArray


async def main() -> None:
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
    run(main)
