"""
The errors of the OpenFL-compatible API name the wrong value, and say what to do.
"""

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.net import DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.system import Security
from openfl_twisted.testing import MemoryNetwork
from openfl_twisted.utils import ByteArray

NOT_INSIDE = "offset 2 and length 3 must be inside the array of 4 bytes"


class WordTests(SynchronousTestCase):
    """
    The texts of the errors.
    """

    def setUp(self) -> None:
        self.reactor = MemoryNetwork().reactor

    def check(self, cases: list[tuple[Callable[[], object], type[Exception], str]]) -> None:
        """
        Check that each call raises an error with a text.
        """
        for do, kind, text in cases:
            with self.assertRaises(kind) as caught:
                do()
            self.assertEqual(str(caught.exception), text)

    def test_byteArray(self) -> None:
        """
        The arguments of a C{ByteArray}.
        """
        array: Any = ByteArray(b"abcd")
        end = "Error #2030: End of file was encountered. "
        bounds = "Error #2006: The supplied index is out of bounds. "
        memory = "Error #1000: The system is out of memory. "
        compressed = "Error #2058: There was an error decompressing the data. "
        accepted = "Error #2008: Parameter {} must be one of the accepted values. "
        endian = (
            "('little' must be Endian.BIG_ENDIAN or Endian.LITTLE_ENDIAN: 'bigEndian' or"
            " 'littleEndian')"
        )
        algorithms = "('gzip' must be one of CompressionAlgorithm: 'deflate', 'lzma', 'zlib')"
        self.check(
            [
                (
                    array.readDouble,
                    EOFError,
                    f"{end}(8 bytes to read, 4 available: check bytesAvailable first)",
                ),
                (
                    lambda: array.readUTFBytes(-1),
                    EOFError,
                    f"{end}(the length must be from 0, not -1)",
                ),
                (
                    lambda: setattr(array, "endian", "little"),
                    errors.ArgumentError,
                    accepted.format("endian") + endian,
                ),
                (
                    lambda: setattr(array, "objectEncoding", 1),
                    errors.ArgumentError,
                    accepted.format("objectEncoding")
                    + "(1 must be ObjectEncoding.AMF0 or ObjectEncoding.AMF3: 0 or 3)",
                ),
                (
                    lambda: array.readBytes(ByteArray(), -1),
                    errors.RangeError,
                    f"{bounds}(the offset -1 must be from 0 to 4294967295 minus the length)",
                ),
                (
                    lambda: array.writeBytes(array, 2, 3),
                    errors.RangeError,
                    f"{bounds}({NOT_INSIDE})",
                ),
                (
                    lambda: array.writeBytes(array, 5),
                    errors.RangeError,
                    f"{bounds}(offset 5 must be inside the array of 4 bytes)",
                ),
                (
                    lambda: array.writeUTF("x" * 70_000),
                    errors.RangeError,
                    (
                        f"{bounds}(the text has 70000 bytes, and writeUTF writes at most 65535: use"
                        " writeUTFBytes after writeInt with the length)"
                    ),
                ),
                (
                    lambda: setattr(array, "length", -1),
                    errors.MemoryError,
                    f"{memory}(a length must be from 0 to 4294967294, not -1)",
                ),
                (lambda: array.compress("gzip"), errors.IOError, compressed + algorithms),
                (
                    array.uncompress,
                    errors.IOError,
                    (
                        f"{compressed}(zlib: Error -3 while decompressing data: incorrect header"
                        " check)"
                    ),
                ),
                (
                    lambda: ByteArray(b"\x0a").readObject(),
                    EOFError,
                    (
                        f"{end}(the AMF value is incomplete: read it again when more data is"
                        " available)"
                    ),
                ),
            ]
        )
        self.assertEqual((array, array.position), (b"abcd", 0))

    def test_types(self) -> None:
        """
        Values of the wrong type, of which the array stays unchanged.
        """
        array: Any = ByteArray(b"abcd")
        wrong: Any = "2"
        self.check(
            [
                (
                    lambda: array.readBytes(10),
                    errors.TypeError,
                    (
                        "readBytes: bytes must be the ByteArray or bytearray that receives the"
                        " data, not 10"
                    ),
                ),
                (
                    lambda: array.readBytes(ByteArray(), "2"),
                    errors.TypeError,
                    "readBytes: offset and length must be integers, not '2' and 4",
                ),
                (
                    lambda: array.readBytes(ByteArray(), 0, 2.5),
                    errors.TypeError,
                    "readBytes: the length must be an integer, not 2.5",
                ),
                (
                    lambda: array.readUTFBytes("2"),
                    errors.TypeError,
                    "readUTFBytes: the length must be an integer, not '2'",
                ),
                (
                    lambda: array.readMultiByte(2.5, "ascii"),
                    errors.TypeError,
                    "readMultiByte: the length must be an integer, not 2.5",
                ),
                (
                    lambda: array.writeBytes(array, "2"),
                    errors.TypeError,
                    "writeBytes: offset and length must be integers, not '2' and 0",
                ),
                (
                    lambda: ByteArray(wrong),
                    errors.TypeError,
                    (
                        "ByteArray: length must be an integer or bytes, not '2': write text with"
                        " writeUTFBytes"
                    ),
                ),
                (
                    lambda: setattr(array, "length", "2"),
                    errors.TypeError,
                    "length must be an integer, not '2'",
                ),
                (
                    lambda: setattr(array, "position", 2.5),
                    errors.TypeError,
                    "position must be an integer, not 2.5",
                ),
                (
                    lambda: array.__setitem__(0, "a"),
                    errors.TypeError,
                    "an item must be a number, not 'a'",
                ),
                (
                    lambda: array.__setitem__("0", 1),
                    errors.TypeError,
                    "an index must be an integer, not '0'",
                ),
            ]
        )
        self.assertEqual((array, array.position), (b"abcd", 0))

    def test_readErrors(self) -> None:
        """
        A C{TypeError} that is not caused by the length is not changed.
        """

        class Own(ByteArray):
            def _take(self, length: int) -> bytes:
                raise TypeError("own")

        array = Own(b"abcd")
        for read in (
            lambda: array.readBytes(bytearray()),
            lambda: array.readUTFBytes(1),
            lambda: array.readMultiByte(1, "ascii"),
        ):
            self.check([(read, TypeError, "own")])

    def test_bound(self) -> None:
        """
        Local addresses and ports.
        """
        server: Any = ServerSocket(reactor=self.reactor)
        datagrams: Any = DatagramSocket(reactor=self.reactor)
        address = "Error #2004: One of the parameters is invalid. "
        bounds = "Error #2006: The supplied index is out of bounds. "
        invalid = "Error #2002: Operation attempted on invalid socket. "
        listening = ServerSocket(reactor=self.reactor)
        listening.bind(8080, "127.0.0.1")
        taken = (
            f"{invalid}(cannot bind to 127.0.0.1, port 8080: Address already in use; another"
            " program or socket uses the port: stop it, or use another port)"
        )
        listening.listen()
        self.check(
            [
                (
                    lambda: server.bind("x"),
                    errors.RangeError,
                    f"{bounds}('x' must be a port from 0 to 65535)",
                ),
                (
                    lambda: server.bind(0, 5),
                    errors.ArgumentError,
                    f"{address}(5 must be an IP address, such as 127.0.0.1)",
                ),
                (lambda: server.bind(8080, "127.0.0.1"), errors.IOError, taken),
                (
                    lambda: listening.bind(1),
                    errors.IOError,
                    f"{invalid}(the socket is already bound to 127.0.0.1:8080)",
                ),
                (
                    lambda: server.listen(-1),
                    errors.RangeError,
                    f"{bounds}(backlog must be from 0, not -1)",
                ),
                (
                    lambda: server.listen("5"),
                    errors.TypeError,
                    "backlog must be an integer, not '5'",
                ),
                (
                    server.close,
                    errors.Error,
                    "the socket cannot be closed, because it is not bound",
                ),
                (
                    lambda: datagrams.connect("0.0.0.0", 1),
                    errors.ArgumentError,
                    f"{address}(0.0.0.0 is not the address of a peer)",
                ),
                (
                    lambda: datagrams.send("a", 0, 0, "127.0.0.1", 1),
                    errors.TypeError,
                    (
                        "send: bytes must be a ByteArray or bytes, not 'a': encode text with"
                        " str.encode"
                    ),
                ),
                (
                    lambda: datagrams.send(b"abcd", 2, 3, "127.0.0.1", 1),
                    errors.RangeError,
                    f"{bounds}({NOT_INSIDE})",
                ),
                (
                    lambda: setattr(datagrams, "multicastTTL", 256),
                    errors.RangeError,
                    f"{bounds}(multicastTTL must be from 0 to 255, not 256)",
                ),
                (
                    lambda: setattr(datagrams, "multicastTTL", "1"),
                    errors.TypeError,
                    "multicastTTL must be an integer, not '1'",
                ),
            ]
        )
        listening.close()
        self.check(
            [
                (
                    lambda: listening.bind(1),
                    errors.IOError,
                    f"{invalid}(the socket is closed: create another one)",
                ),
                (
                    listening.close,
                    errors.Error,
                    "the socket cannot be closed, because it is already closed",
                ),
            ]
        )

    def test_streams(self) -> None:
        """
        The settings of a C{Socket}, an C{XMLSocket} and a C{SecureSocket}.
        """
        socket = Socket(reactor=self.reactor)
        xml = XMLSocket(reactor=self.reactor)
        secure = SecureSocket(reactor=self.reactor)
        self.check(
            [
                (
                    lambda: setattr(socket, "timeout", "5"),
                    errors.TypeError,
                    "timeout must be a number of milliseconds, not '5'",
                ),
                (
                    lambda: setattr(socket, "maxUnread", "5"),
                    errors.TypeError,
                    "maxUnread must be an integer, not '5'",
                ),
                (
                    lambda: setattr(xml, "maxLength", "5"),
                    errors.TypeError,
                    "maxLength must be an integer, not '5'",
                ),
                (
                    lambda: secure.addBinaryChainBuildingCertificate(b"x", True),
                    errors.ArgumentError,
                    (
                        "Error #2004: One of the parameters is invalid. (b'x' is not a certificate"
                        " in DER)"
                    ),
                ),
            ]
        )

    def test_security(self) -> None:
        """
        The domains of C{Security}.
        """
        wrong: Any = 5
        self.patch(Security, "sandboxType", Security.REMOTE)
        text = "Error #2052: Only String arguments are permitted for allowDomain and "
        self.check(
            [
                (
                    lambda: Security.allowDomain("a", wrong),
                    errors.ArgumentError,
                    f"{text}allowInsecureDomain. (5 must be text)",
                )
            ]
        )
