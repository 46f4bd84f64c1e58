"""
Tests for L{openfl_twisted.wire.amf._members}: programs that select the members to write.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.amf._members import DynamicOutput
from openfl_twisted.wire.amf.codec import AMF0, AMF3, decode, encode
from openfl_twisted.wire.amf.values import (
    AMFError,
    AMFLimits,
    ClassRegistry,
    ECMAArray,
    TypedObject,
    Undefined,
)

Write = Callable[[Any, DynamicOutput], object]
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
objects = st.recursive(
    st.none() | st.booleans() | names,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(names, children, max_size=3),
    max_leaves=10,
)


@dataclass
class Point:
    """
    A class with declared members.
    """

    x: int = 0
    inside: Any = None


def writeAll(obj: Any, output: DynamicOutput) -> None:
    """
    Write all members.
    """
    for name, value in obj.items():
        output.writeDynamicProperty(name, value)


def written(value: Any, write: Write, objectEncoding: int, **settings: Any) -> Any:
    """
    Write a value, and return the value that is read from its bytes.
    """
    settings = {"objectEncoding": objectEncoding, **settings}
    data = encode(value, writeDynamicProperties=write, **settings)
    settings.pop("references", None)
    back, end = decode(data, **settings)
    assert end == len(data), (end, len(data))
    return back


class DynamicOutputTests(SynchronousTestCase):
    """
    The written members are those that the program selects.
    """

    def refused(self, write: Write, **settings: Any) -> None:
        """
        Check that an object is refused because of a mistake of the program.
        """
        for encoding in (AMF0, AMF3):
            self.assertRaises(
                AMFError,
                encode,
                {"a": 1},
                objectEncoding=encoding,
                writeDynamicProperties=write,
                **settings,
            )

    def test_bytes(self) -> None:
        """
        A member can be omitted, changed and added, in any order.
        """

        def write(obj: Any, output: DynamicOutput) -> None:
            output.writeDynamicProperty("b", obj["a"])
            output.writeDynamicProperty("a", None)

        for encoding, text in [
            (AMF3, "0A0B01" + "03620401" + "036101" + "01"),
            (AMF0, "03" + "000162003FF0000000000000" + "00016105" + "000009"),
        ]:
            data = encode(
                {"a": 1, "left out": 2}, objectEncoding=encoding, writeDynamicProperties=write
            )
            self.assertEqual(data.hex().upper(), text)

    def test_nothing(self) -> None:
        """
        A member that is not written is not sent.
        """
        for encoding in (AMF0, AMF3):
            self.assertEqual(written({"a": 1}, lambda obj, output: None, encoding), {})

    @given(objects, st.sampled_from([AMF0, AMF3]), st.booleans())
    def test_same(self, value: Any, encoding: int, references: bool) -> None:
        """
        A program that writes all members gets the same bytes as the default.
        """
        settings: dict[str, Any] = {"objectEncoding": encoding, "references": references}
        self.assertEqual(
            encode(value, writeDynamicProperties=writeAll, **settings), encode(value, **settings)
        )

    @given(st.lists(st.tuples(names, objects), max_size=5), st.sampled_from([AMF0, AMF3]))
    def test_anyMembers(self, members: list[tuple[str, Any]], encoding: int) -> None:
        """
        Any names with any values are read back; the later one of two with the same name.
        """

        def write(obj: Any, output: DynamicOutput) -> None:
            if obj is value:
                for name, item in members:
                    output.writeDynamicProperty(name, item)
            else:
                writeAll(obj, output)

        value: dict[str, Any] = {}
        self.assertEqual(written(value, write, encoding), dict(members))

    def test_everyObject(self) -> None:
        """
        The program is called for each object, outer ones first, and once for a
        repeated one. It is not called for arrays and instances of classes.
        """
        registry = ClassRegistry()
        registry.register("Point", Point)
        inner: dict[str, Any] = {"deep": {}}
        value = {
            "inner": inner,
            "again": inner,
            "mapping": MappingProxyType({"m": 1.5}),
            "typed": TypedObject("T", {"t": {}}),
            "array": ECMAArray([1.5], {"named": {}}),
            "point": Point(1, {}),
        }
        for encoding in (AMF0, AMF3):
            asked: list[Any] = []

            def write(obj: Any, output: DynamicOutput, asked: list[Any] = asked) -> None:
                asked.append(obj)
                output.writeDynamicProperty("was", len(obj))
                writeAll(obj, output)

            back = written(value, write, encoding, registry=registry)
            self.assertEqual(
                asked, [value, inner, {}, value["mapping"], {}, {}, {}], f"AMF{encoding}"
            )
            self.assertEqual(back["was"], 6)
            self.assertEqual(back["inner"], {"was": 1, "deep": {"was": 0}})
            self.assertIs(back["again"], back["inner"])
            self.assertEqual(back["mapping"], {"was": 1, "m": 1.5})
            self.assertEqual(back["typed"], TypedObject("T", {"t": {"was": 0}}))
            self.assertEqual(back["array"], ECMAArray([1.5], {"named": {"was": 0}}))
            self.assertEqual(back["point"], Point(1, {"was": 0}))

    def test_itself(self) -> None:
        """
        An object can be a member of itself, if references are allowed.
        """

        def write(obj: Any, output: DynamicOutput) -> None:
            output.writeDynamicProperty("self", obj)

        for encoding in (AMF0, AMF3):
            back = written({}, write, encoding)
            self.assertIs(back["self"], back)
        self.refused(write, references=False)

    def test_functions(self) -> None:
        """
        A function that is written explicitly is C{undefined}.
        """

        def write(obj: Any, output: DynamicOutput) -> None:
            output.writeDynamicProperty("f", len)

        for encoding in (AMF0, AMF3):
            self.assertEqual(written({"g": len}, write, encoding), {"f": Undefined})

    def test_names(self) -> None:
        """
        An empty name, and one that is not text, are refused. An integer is
        written in decimal.
        """
        for name in ("", None, 1.5, b"a", True):
            self.refused(lambda obj, output, name=name: output.writeDynamicProperty(name, 1))  # type: ignore[misc]
        for encoding in (AMF0, AMF3):
            self.assertEqual(
                written({}, lambda obj, output: output.writeDynamicProperty(7, None), encoding),  # type: ignore[arg-type]
                {"7": None},
            )

    def test_ignoredRefusal(self) -> None:
        """
        A program that continues after a refused member gets valid bytes.
        """

        def write(obj: Any, output: DynamicOutput) -> None:
            self.assertRaises(AMFError, output.writeDynamicProperty, "", 1)
            output.writeDynamicProperty("a", 1)

        for encoding in (AMF0, AMF3):
            self.assertEqual(written({}, write, encoding), {"a": 1})

    def test_tooLate(self) -> None:
        """
        Members cannot be added to an object that was written, even before the
        enclosing object is finished.
        """
        outputs: list[DynamicOutput] = []

        def write(obj: Any, output: DynamicOutput) -> None:
            for other in outputs:
                self.assertRaises(AMFError, other.writeDynamicProperty, "late", 1)
            outputs.append(output)
            writeAll(obj, output)

        for encoding in (AMF0, AMF3):
            outputs.clear()
            self.assertEqual(written({"a": {}}, write, encoding), {"a": {}})
            self.assertEqual(len(outputs), 2)

    def test_failing(self) -> None:
        """
        The exception of a program is the cause of the error.
        """
        mistake = ValueError("some mistake")

        def write(obj: Any, output: DynamicOutput) -> None:
            raise mistake

        for encoding in (AMF0, AMF3):
            error = self.assertRaises(
                AMFError, encode, {}, objectEncoding=encoding, writeDynamicProperties=write
            )
            self.assertIs(error.__cause__, mistake)
            self.assertIn("failed: ValueError: some mistake", str(error))

    def test_limits(self) -> None:
        """
        The number and the depth of the members are limited, and no memory is used
        above the limits.
        """
        kept: list[None] = []

        def endless(obj: Any, output: DynamicOutput) -> None:
            while True:
                kept.append(None)
                output.writeDynamicProperty("a", None)

        self.refused(endless, limits=AMFLimits(items=100))
        self.assertLessEqual(len(kept), 2 * 101)
        self.refused(
            lambda obj, output: output.writeDynamicProperty("a", {}), limits=AMFLimits(depth=50)
        )
        self.refused(
            lambda obj, output: output.writeDynamicProperty("a" * 11, 1), limits=AMFLimits(text=10)
        )
        for encoding in (AMF0, AMF3):
            limits = AMFLimits(items=2)
            self.assertEqual(written({"a": 1}, writeAll, encoding, limits=limits), {"a": 1})
            self.assertRaises(
                AMFError, written, {"a": 1, "b": 2}, writeAll, encoding, limits=limits
            )
