"""
Tests for L{openfl_twisted.net.objects}.
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
    A class as a program has it.
    """

    firstProp: str = ""


class Again:
    """
    Writes itself anew instead of its members.
    """

    def writeExternal(self, output: Any) -> None:
        """
        Write the same again.
        """
        ByteArray().writeObject(self)

    def readExternal(self, input: Any) -> None:
        """
        Read nothing.
        """


class PublicOnly:
    """
    Sends what does not begin with an underscore.
    """

    def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
        """
        Write these members.
        """
        for name, value in obj.items():
            if not name.startswith("_"):
                output.writeDynamicProperty(name, value)


class Nameless:
    """
    Writes a member without a name.
    """

    def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
        """
        Write it.
        """
        output.writeDynamicProperty("a", 1)
        output.writeDynamicProperty("", 1)


class RegisterTests(SynchronousTestCase):
    """
    L{registerClassAlias} makes classes known.
    """

    def setUp(self) -> None:
        """
        Begin with no classes.
        """
        self.patch(utils, "classAliases", ClassRegistry())

    def test_known(self) -> None:
        """
        An instance of a known class is written as Flash writes it, and comes
        back as one.
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

    def test_writesItselfAgain(self) -> None:
        """
        An object that never ends writing itself is an error with a text that
        one can read.
        """
        utils.classAliases.register("Again", Again)
        error = self.assertRaises(errors.IOError, ByteArray().writeObject, Again())
        self.assertLess(len(str(error)), 100_000)


class GlobalTests(SynchronousTestCase):
    """
    The classes are known to the whole process.
    """

    def test_register(self) -> None:
        """
        A class that is registered here is known to every array.
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
    A program decides which members are sent.
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
        A writer is known by its method; nobody writes at first.
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
        It decides for every array, in both versions, until it is taken away.
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
        It decides for sockets too.
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
