"""
Tests for L{openfl_twisted.net.objects}.
"""

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import utils
from openfl_twisted.net import ObjectEncoding, registerClassAlias
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.amf import ClassRegistry, TypedObject


@dataclass
class Player:
    """
    A class as a program has it.
    """

    firstProp: str = ""


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

    def test_encodings(self) -> None:
        """
        AMF3 is the version that is used if nobody says otherwise.
        """
        self.assertEqual(
            (ObjectEncoding.AMF0, ObjectEncoding.AMF3, ObjectEncoding.DEFAULT), (0, 3, 3)
        )


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
