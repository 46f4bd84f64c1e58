"""
Tests for L{openfl_twisted.wire.amf.flex}.
"""

import contextlib
import copy
import pickle
import subprocess
import sys
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors, utils
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.amf.codec import AMF0, AMF3, decode, encode
from openfl_twisted.wire.amf.flex import (
    _CLASSES,
    _MAX_FLAGS,
    AcknowledgeMessage,
    AcknowledgeMessageExt,
    ArrayCollection,
    ArrayList,
    AsyncMessage,
    AsyncMessageExt,
    CommandMessage,
    CommandMessageExt,
    ErrorMessage,
    ObjectProxy,
    RemotingMessage,
    newUID,
    registerClasses,
)
from openfl_twisted.wire.amf.values import (
    AMFError,
    AMFLimits,
    ClassRegistry,
    ECMAArray,
    ExternalizableError,
    TypedObject,
)

registry = ClassRegistry()
registerClasses(registry)

COLLECTION = b"\x0a\x07\x43flex.messaging.io.ArrayCollection\x09\x05\x01\x04\x01\x04\x02"

# Sent by a BlazeDS server and by a Flex client; recorded in the tests of PyAMF.
RECORDED_DSK = (
    b"\n\x07\x07DSK\xa8\x03\n\x0b\x01%DSMessagingVersion\x05?\xf0\0\0\0\0\0\0"
    b"\tDSId\x06IEE0D161D-C11D-25CB-8DBE-3B77B54B55D9\x01\x05Br3&m\x85\x10\0"
    b"\x0c!\xee\r\x16\x1d\xc1(&[\xc9\x80RK\x9bE\xc6\xc4"
    b"\x0c!\xee\r\x16\x1d\xc1=\x8e\xa3\xe0\x10\xef\xad;\xe5\xc5j"
    b"\x02\x0c!S\x84\x83\xdb\xa9\xc8\xcaM`\x952f\xdbQ\xc9<\0"
)
RECORDED_DSC = (
    b"\n\x07\x07DSC\x88\x02\n\x0b\x01\tDSId\x06IEE0D161D-C11D-25CB-8DBE-3B77B54B55D9\x01"
    b"\x0c!\xc0\xdf\xb7|\xd6\xee$1s\x152f\xe11\xa8f\x01\x06\x01\x01\x04\x02"
)


def read(data: bytes, **settings: Any) -> Any:
    """
    Decode bytes that are exactly one value, with the Flex classes.
    """
    value, end = decode(data, registry=registry, **settings)
    assert end == len(data), (end, len(data))
    return value


def short(alias: str, payload: str) -> bytes:
    """
    Return the bytes of an object of an externalizable class.
    """
    return bytes((0x0A, 0x07, len(alias) << 1 | 1)) + alias.encode() + bytes.fromhex(payload)


texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | texts,
    lambda items: (
        st.lists(items, max_size=3) | st.dictionaries(texts.filter(bool), items, max_size=3)
    ),
    max_leaves=6,
)
uids = st.uuids().map(str)
identifiers = st.none() | texts | uids | uids.map(str.upper)
numbers = st.integers(0, 2**40) | st.floats(min_value=0, allow_nan=False)
members: dict[str, st.SearchStrategy[Any]] = {
    "body": values,
    # AMF has no integers of more than 53 bits.
    "clientId": identifiers | st.integers(-(2**53), 2**53),
    "destination": st.none() | texts,
    "headers": st.none() | st.dictionaries(texts.filter(bool), values, max_size=3),
    "messageId": identifiers,
    "timestamp": numbers,
    "timeToLive": numbers,
}
answers = {**members, "correlationId": identifiers}
commands = {**answers, "operation": st.integers(0, 10000)}
faults = {**answers, "faultCode": st.none() | texts, "extendedData": values}
objects: st.SearchStrategy[Any] = (
    st.builds(ArrayCollection, st.lists(values, max_size=4))
    | st.builds(ArrayList, st.lists(values, max_size=4))
    | st.builds(ArrayCollection, st.builds(ECMAArray, st.lists(values), st.just({"a": 1})))
    | st.builds(ObjectProxy, values)
    | st.builds(RemotingMessage, **members, operation=st.none() | texts, source=st.none() | texts)
    | st.builds(AsyncMessage, **answers)
    | st.builds(AsyncMessageExt, **answers)
    | st.builds(AcknowledgeMessage, **answers)
    | st.builds(AcknowledgeMessageExt, **answers)
    | st.builds(ErrorMessage, **faults)
    | st.builds(CommandMessage, **commands)
    | st.builds(CommandMessageExt, **commands)
)


class RoundTripTests(SynchronousTestCase):
    """
    Objects are written and read again.
    """

    @given(objects, st.sampled_from([AMF0, AMF3]), st.booleans())
    def test_roundTrip(self, value: Any, encoding: int, references: bool) -> None:
        """
        Each object comes back equal, with its class, and is written as the same
        bytes again.
        """
        data = encode(value, registry=registry, objectEncoding=encoding, references=references)
        back = read(data, objectEncoding=encoding)
        self.assertEqual(back, value)
        self.assertIs(type(back), type(value))
        again = encode(back, registry=registry, objectEncoding=encoding, references=references)
        if references:
            self.assertEqual(again, data)

    @given(objects)
    def test_prefixes(self, value: Any) -> None:
        """
        Every proper prefix of an object raises C{EOFError}.
        """
        data = encode(value, registry=registry)
        for length in range(len(data)):
            self.assertRaises(EOFError, decode, data[:length], registry=registry)

    @given(objects, objects)
    def test_inside(self, one: Any, other: Any) -> None:
        """
        Nested objects share their references.
        """
        value = ArrayCollection([ObjectProxy(one), one, RemotingMessage(body=[other, one])])
        back = read(encode(value, registry=registry))
        self.assertEqual(back, value)
        self.assertIs(back[0].object, back[1])
        self.assertIs(back[2].body[1], back[1])

    @given(objects)
    def test_copies(self, value: Any) -> None:
        """
        Each object can be copied, deep-copied and pickled.
        """
        for made in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            self.assertEqual(made, value)
            self.assertIs(type(made), type(value))


class HarmTests(SynchronousTestCase):
    """
    Malicious data.
    """

    @given(st.sampled_from(sorted(_CLASSES)), st.binary(max_size=40))
    def test_noise(self, alias: str, noise: bytes) -> None:
        """
        Random bytes after an alias raise only the documented errors.
        """
        for header in (7, 3, 11, 19):
            data = bytes((0x0A, header, len(alias) << 1 | 1)) + alias.encode() + noise
            with contextlib.suppress(AMFError, EOFError):
                decode(data, registry=registry)

    @given(objects, st.data())
    def test_changed(self, value: Any, data: st.DataObject) -> None:
        """
        A message with one byte changed raises only the documented errors.
        """
        whole = bytearray(encode(value, registry=registry))
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(AMFError, EOFError):
            decode(whole, registry=registry)

    def test_identifiers(self) -> None:
        """
        An identifier that is not 16 bytes is refused, of any type.
        """
        for wrong in ("0C 03 00", "0C 01", "04 10", "06 03 41", "01", "04 BFFFFFFF"):
            self.assertRaises(AMFError, read, short("DSA", f"80 02 {wrong} 00"))
            self.assertRaises(AMFError, read, short("DSA", f"00 02 {wrong}"))

    def test_flags(self) -> None:
        """
        More flag bytes than the limit are refused before they are read.
        """
        many = "80" * (_MAX_FLAGS - 1)
        self.assertEqual(read(short("DSA", f"{many} 00 00")), AsyncMessageExt())
        error = self.assertRaises(AMFError, read, short("DSA", f"{many} 80 00 00"))
        self.assertIn("8 flag bytes", str(error))
        self.assertRaises(AMFError, read, short("DSK", "00 00" + "80" * 100_000))

    def test_unknownFlags(self) -> None:
        """
        The values of flags that BlazeDS does not know are read and dropped. As in
        BlazeDS, bit 6 has no value.
        """
        message = read(
            short(
                "DSK", "81 FC 01 04 05 0401 0402 0403 0404 0405 00 3F 0401 0402 0403 0404 0405 0406"
            )
        )
        self.assertEqual(message, AcknowledgeMessageExt(body=5))

    def test_source(self) -> None:
        """
        A collection of anything except an array is refused; one of null is empty.
        """
        alias = "flex.messaging.io.ArrayList"
        for wrong in ("0401", "0603 41", "0A0B01 01", "0C0341"):
            error = self.assertRaises(AMFError, read, short(alias, wrong))
            self.assertIn("must be an array", str(error))
        self.assertEqual(read(short(alias, "01")), ArrayList())

    def test_limits(self) -> None:
        """
        The limits of AMF count the values of these classes.
        """
        value = ArrayCollection([[], [], {"a": 1}])
        data = encode(value, registry=registry)
        read(data, limits=AMFLimits(depth=3, items=6, objects=5, text=40, total=len(data)))
        for limits in (
            AMFLimits(depth=2), AMFLimits(items=5), AMFLimits(objects=4), AMFLimits(text=33),
            AMFLimits(total=len(data) - 1),
        ):  # fmt: skip
            self.assertRaises(AMFError, read, data, limits=limits)
        deep = short("flex.messaging.io.ArrayList", "0A01" * 10_000)
        self.assertRaises(AMFError, read, deep)
        message = encode(AcknowledgeMessageExt(body=[1, 2, 3]), registry=registry)
        self.assertRaises(AMFError, read, message, limits=AMFLimits(items=4))


class FormTests(SynchronousTestCase):
    """
    The bytes of each class.
    """

    def test_collections(self) -> None:
        """
        A collection is read and written as Flex does, and is a sequence.
        """
        value = read(COLLECTION)
        self.assertEqual(value, ArrayCollection([1, 2]))
        self.assertEqual(value, [1, 2])
        self.assertEqual((list(value), value[1], value[-2:], len(value)), ([1, 2], 2, [1, 2], 2))
        self.assertNotEqual(value, ArrayList([1, 2]))
        self.assertNotEqual(value, (1, 2))
        self.assertEqual(repr(value), "ArrayCollection([1, 2])")
        self.assertEqual(encode(value, registry=registry), COLLECTION)
        value.append(3)
        value[0] = 0
        del value[1]
        self.assertEqual(value, [0, 3])
        named = ArrayList(ECMAArray([1], {"a": 2}))
        self.assertEqual((list(named), named.source), ([1], ECMAArray([1], {"a": 2})))
        self.assertEqual(ArrayList(range(2)).source, [0, 1])

    def test_sharedSource(self) -> None:
        """
        Two collections can share an array, and an array can contain a collection
        of itself.
        """
        source: list[Any] = [1]
        one, other = read(encode([ArrayList(source), ArrayCollection(source)], registry=registry))
        self.assertIs(one.source, other.source)
        source.append(ArrayCollection(source))
        back = read(encode(source, registry=registry))
        self.assertIs(back[1].source, back)

    def test_copy(self) -> None:
        """
        A copy of a collection has a separate array.
        """
        value = ArrayCollection([1])
        copied = copy.copy(value)
        copied.append(2)
        self.assertEqual((value, copied), ([1], [1, 2]))

    def test_proxy(self) -> None:
        """
        A proxy wraps an object (default: empty).
        """
        data = short("flex.messaging.io.ObjectProxy", "0A0B01 0361 0401 01")
        self.assertEqual(read(data), ObjectProxy({"a": 1}))
        self.assertEqual(encode(ObjectProxy({"a": 1}), registry=registry), data)
        self.assertEqual(ObjectProxy(), ObjectProxy({}))

    def test_recordedAcknowledge(self) -> None:
        """
        The answer of a BlazeDS server to a ping is read, and written as the same
        bytes, except for an integral double.
        """
        message = read(RECORDED_DSK)
        self.assertEqual(
            message,
            AcknowledgeMessageExt(
                clientId="EE0D161D-C128-265B-C980-524B9B45C6C4",
                headers={"DSMessagingVersion": 1.0, "DSId": "EE0D161D-C11D-25CB-8DBE-3B77B54B55D9"},
                messageId="EE0D161D-C13D-8EA3-E010-EFAD3BE5C56A",
                timestamp=1250681083985.0,
                correlationId="538483DB-A9C8-CA4D-6095-3266DB51C93C",
            ),
        )
        self.assertEqual(
            encode(message, registry=registry),
            RECORDED_DSK.replace(b"\x05?\xf0\0\0\0\0\0\0", b"\x04\x01"),
        )

    def test_recordedCommand(self) -> None:
        """
        The poll of a Flex client is read, and written as the same bytes.
        """
        message = read(RECORDED_DSC)
        self.assertEqual(
            message,
            CommandMessageExt(
                headers={"DSId": "EE0D161D-C11D-25CB-8DBE-3B77B54B55D9"},
                messageId="C0DFB77C-D6EE-2431-7315-3266E131A866",
                correlationId="",
                operation=CommandMessage.POLL_OPERATION,
            ),
        )
        self.assertEqual(encode(message, registry=registry), RECORDED_DSC)

    def test_shortBytes(self) -> None:
        """
        The flags and the order of the members are those of BlazeDS.
        """
        uid = "00010203-0405-0607-0809-0A0B0C0D0E0F"
        inBytes = "0C21 000102030405060708090A0B0C0D0E0F"
        for value, data in [
            (AsyncMessageExt(), short("DSA", "00 00")),
            (AcknowledgeMessageExt(), short("DSK", "00 00 00")),
            (CommandMessageExt(operation=0), short("DSC", "00 00 00")),
            (CommandMessageExt(operation=5), short("DSC", "00 00 01 04 05")),
            (
                AsyncMessageExt(
                    body=False, clientId=7, destination="d", headers={}, messageId="m",
                    timestamp=1, timeToLive=2, correlationId="c",
                ),
                short("DSA", "7F 02 0407 0603 64 0A0B01 01 0603 6D 0401 0402 01 0603 63"),
            ),
            (
                AsyncMessageExt(body=1, clientId=uid, messageId=uid, correlationId=uid),
                short("DSA", f"81 03 0401 {inBytes} {inBytes} 02 {inBytes}"),
            ),
            # Lower case would be read back as upper case, so it stays text.
            (
                AsyncMessageExt(clientId=uid.lower()),
                short("DSA", "02 06 49" + uid.lower().encode().hex() + "00"),
            ),
        ]:  # fmt: skip
            self.assertEqual(encode(value, registry=registry).hex(), data.hex(), value)
            self.assertEqual(read(data), value)

    def test_long(self) -> None:
        """
        The long form has its members by name. Undeclared ones are ignored.
        """
        alias = "flex.messaging.messages.RemotingMessage"
        sent = TypedObject(alias, {"operation": "add", "body": [1, 2], "parameters": None})
        self.assertEqual(read(encode(sent)), RemotingMessage(operation="add", body=[1, 2]))
        message = ErrorMessage(faultCode="Server.Failed", faultString="no")
        plain = decode(encode(message, registry=registry))[0]
        self.assertEqual(plain.alias, "flex.messaging.messages.ErrorMessage")
        self.assertEqual(
            list(plain),
            ["body", "clientId", "destination", "headers", "messageId", "timestamp", "timeToLive",
             "correlationId", "faultCode", "faultString", "faultDetail", "rootCause",
             "extendedData"],
        )  # fmt: skip

    def test_answering(self) -> None:
        """
        An answer contains the identifier of its request, and a new one.
        """
        request = RemotingMessage(messageId="m", clientId="c")
        answer = AcknowledgeMessageExt.answering(request, 5)
        self.assertEqual((answer.correlationId, answer.clientId, answer.body), ("m", "c", 5))
        self.assertEqual(str(uuid.UUID(answer.messageId)).upper(), answer.messageId)
        fault = ErrorMessage.answering(request, faultCode="Failed")
        self.assertEqual((fault.faultCode, fault.correlationId), ("Failed", "m"))
        self.assertNotEqual(newUID(), newUID())


class RegisterTests(SynchronousTestCase):
    """
    The classes must be registered.
    """

    def setUp(self) -> None:
        """
        Use an empty registry.
        """
        self.patch(utils, "classAliases", ClassRegistry())

    def test_unknown(self) -> None:
        """
        An externalizable object of an unregistered class raises an error with
        Flash's number, the class and the advice.
        """
        for data, alias, cure in [
            (COLLECTION, "flex.messaging.io.ArrayCollection", "flex.registerClasses"),
            (RECORDED_DSK, "DSK", "flex.registerClasses"),
            (short("game.Level", "01"), "game.Level", "register a class with readExternal"),
        ]:
            found = self.assertRaises(ExternalizableError, decode, data)
            self.assertEqual(found.alias, alias)
            error = self.assertRaises(errors.IOError, ByteArray(data).readObject)
            self.assertEqual(error.errorID, 2173)
            self.assertIn(
                f"Error #2173: Unable to read object in stream. The class {alias} ", str(error)
            )
            self.assertIn(cure, str(error))

    def test_longAlias(self) -> None:
        """
        The error shows the beginning of a long alias.
        """
        data = b"\x0a\x07\xff\xff\x7f" + b"A" * 0x1FFFBF
        error = self.assertRaises(errors.IOError, ByteArray(data).readObject)
        self.assertLess(len(str(error)), 500)

    def test_notExternalizable(self) -> None:
        """
        A registered class that cannot read itself raises the same error.
        """
        utils.classAliases.register("game.Level", RemotingMessage)
        error = self.assertRaises(errors.IOError, ByteArray(short("game.Level", "01")).readObject)
        self.assertEqual(error.errorID, 2173)

    def test_registered(self) -> None:
        """
        Every array reads and writes registered classes. Repeated registration
        does nothing.
        """
        registerClasses(utils.classAliases)
        registerClasses(utils.classAliases)
        array = ByteArray(COLLECTION)
        value = array.readObject()
        self.assertIsInstance(value, ArrayCollection)
        self.assertEqual(value, [1, 2])
        array = ByteArray(RECORDED_DSC)
        value = array.readObject()
        array.clear()
        array.writeObject(value)
        self.assertEqual(bytes(array), RECORDED_DSC)

    def test_onRequest(self) -> None:
        """
        No other module imports this one.
        """
        script = (
            "import sys, openfl_twisted.net, openfl_twisted.utils, openfl_twisted.wire.amf.codec\n"
            "assert 'openfl_twisted.wire.amf.flex' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", script], check=True)
