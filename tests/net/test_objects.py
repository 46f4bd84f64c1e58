"""
Tests for L{openfl_twisted.net._objects}.
"""

from dataclasses import dataclass
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors, utils
from openfl_twisted.net import (
    IDynamicPropertyOutput,
    IDynamicPropertyWriter,
    ObjectEncoding,
    Socket,
    registerClassAlias,
)
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.amf.values import ClassRegistry, TypedObject
from tests.net.network import Network


@dataclass
class Player:
    """
    A program's class.
    """

    firstProp: str = ""


class Recursive:
    """
    Encodes itself recursively.
    """

    def writeExternal(self, output: Any) -> None:
        ByteArray().writeObject(self)

    def readExternal(self, input: Any) -> None:
        pass


class PublicOnly:
    """
    Writes members without a leading underscore.
    """

    def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
        for name, value in obj.items():
            if not name.startswith("_"):
                output.writeDynamicProperty(name, value)


class Nameless:
    """
    Writes a member with an empty name.
    """

    def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
        output.writeDynamicProperty("a", 1)
        output.writeDynamicProperty("", 1)


class RegisterTests(SynchronousTestCase):
    """
    L{registerClassAlias} registers classes.
    """

    def setUp(self) -> None:
        self.patch(utils, "classAliases", ClassRegistry())

    def test_known(self) -> None:
        """
        An instance of a registered class is encoded as in Flash, and decoded as an
        instance.
        """
        data = bytes.fromhex("0A 13 19") + b"MyClassAlias\x13firstProp\x06\x0bHello"
        unknown = ByteArray(data).readObject()
        self.assertEqual(unknown, TypedObject("MyClassAlias", {"firstProp": "Hello"}))
        utils.classAliases.register("MyClassAlias", Player)
        array = ByteArray()
        array.writeObject(Player("Hello"))
        self.assertEqual(array, data)
        array.position = 0
        self.assertEqual(array.readObject(), Player("Hello"))

    def test_recursion(self) -> None:
        """
        An object that encodes itself recursively is an error with a readable text.
        """
        utils.classAliases.register("Recursive", Recursive)
        error = self.assertRaises(errors.IOError, ByteArray().writeObject, Recursive())
        self.assertLess(len(str(error)), 100_000)


class GlobalTests(SynchronousTestCase):
    """
    Registrations are global.
    """

    def test_register(self) -> None:
        """
        A registered class is known to every array.
        """

        class Score:
            points: int = 0

        registerClassAlias("tests.Score", Score)
        array = ByteArray()
        array.writeObject(Score())
        array.position = 0
        self.assertIsInstance(array.readObject(), Score)


class DynamicPropertyTests(SynchronousTestCase):
    """
    L{ObjectEncoding.dynamicPropertyWriter} selects the members that are sent.
    """

    def write(self, value: Any, objectEncoding: int) -> ByteArray:
        """
        Write a value into an array.
        """
        array = ByteArray()
        array.objectEncoding = objectEncoding
        array.writeObject(value)
        array.position = 0
        return array

    def test_interfaces(self) -> None:
        """
        A writer is recognized by its method; the default is C{None}.
        """
        self.assertIsNone(ObjectEncoding.dynamicPropertyWriter)
        writer: IDynamicPropertyWriter = PublicOnly()
        self.assertIsInstance(writer, IDynamicPropertyWriter)
        self.assertNotIsInstance(ByteArray(), IDynamicPropertyWriter)
        outputs = []

        class Keeping:
            def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
                outputs.append(output)

        self.patch(ObjectEncoding, "dynamicPropertyWriter", Keeping())
        self.write({}, 3)
        self.assertIsInstance(outputs[0], IDynamicPropertyOutput)
        self.assertNotIsInstance(ByteArray(), IDynamicPropertyOutput)

    def test_array(self) -> None:
        """
        The writer is used by every array, in both versions, until it is removed.
        """
        value = {"name": "Ann", "_secret": 1.5, "inside": {"_deep": 2.5, "list": [None]}}
        for encoding in (0, 3):
            self.patch(ObjectEncoding, "dynamicPropertyWriter", PublicOnly())
            self.assertEqual(
                self.write(value, encoding).readObject(),
                {"name": "Ann", "inside": {"list": [None]}},
            )
            self.patch(ObjectEncoding, "dynamicPropertyWriter", None)
            self.assertEqual(self.write(value, encoding).readObject(), value)

    def test_socket(self) -> None:
        """
        The writer is used by sockets too.
        """
        self.patch(ObjectEncoding, "dynamicPropertyWriter", PublicOnly())
        network = Network()
        socket = Socket(reactor=network.reactor)
        socket.connect("127.0.0.1", 80)
        peer = network.answer()
        for encoding in (0, 3):
            socket.objectEncoding = encoding
            socket.writeObject({"a": None, "_b": None})
        socket.flush()
        self.assertEqual(peer.received.hex(), "030001" + "6105000009" + "0a0b01" + "03610101")

    def test_refused(self) -> None:
        """
        A member without a name is an error, and nothing is written.
        """
        self.patch(ObjectEncoding, "dynamicPropertyWriter", Nameless())
        for encoding in (0, 3):
            array = ByteArray(b"before")
            array.objectEncoding = encoding
            array.position = 6
            error = self.assertRaises(errors.IOError, array.writeObject, {"a": 1})
            self.assertIn("name of a member", str(error))
            self.assertEqual(array, b"before")
