"""
Tests for L{openfl_twisted.transports.blocklist}.
"""

import contextlib
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import skipUnless

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.transports.blocklist import (
    _MAX_REASON,
    MAX_BLOCKS,
    MAX_SECONDS,
    Block,
    BlockList,
    parseBlocks,
)
from tests.doubles import linesOf

NOW = 1_800_000_000.0
ENTRY = {"address": "192.0.2.1", "until": NOW + 60, "reason": "spam"}

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ENTRY, "blocks"]), inner),
)


class BlockListTestCase(SynchronousTestCase):
    """
    A block list with a clock that the test advances.
    """

    def setUp(self) -> None:
        self.now = NOW
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "blocks.json"

    def make(self, path: Path | None = None) -> BlockList:
        return BlockList(None if path is None else str(path), now=lambda: self.now)


class BlockTests(BlockListTestCase):
    """
    Addresses are blocked for a time.
    """

    def test_hosts(self) -> None:
        """
        An IPv4 address is blocked itself, an IPv6 address with its network.
        """
        for address, host in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:DB8::/64", "2001:db8::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("fe80::%eth0/64", "fe80::/64"),
        ]:
            blocks = self.make()
            self.assertEqual(blocks.block(address, 60, "spam"), Block(host, NOW + 60, "spam"))
            self.assertTrue(blocks.isBlocked(host))
            self.assertFalse(blocks.isBlocked("192.0.2.2"))
            self.assertFalse(blocks.isBlocked(None))
            self.assertEqual((blocks.unblock(address), blocks.unblock(address)), (True, False))
            self.assertFalse(blocks.isBlocked(host))

    def test_expires(self) -> None:
        """
        A block ends after its time, without another event.
        """
        blocks = self.make()
        blocks.block("192.0.2.1", 60, "spam")
        blocks.block("192.0.2.2", 90, "spam")
        self.now += 60
        self.assertFalse(blocks.isBlocked("192.0.2.1"))
        self.assertEqual([each.address for each in blocks.blocks()], ["192.0.2.2"])
        self.now += 30
        self.assertEqual(blocks.blocks(), [])
        self.assertFalse(blocks.unblock("192.0.2.2"))

    def test_again(self) -> None:
        """
        A second block of an address replaces the first.
        """
        blocks = self.make()
        blocks.block("192.0.2.1", 60, "spam")
        blocks.block("192.0.2.2", 60, "spam")
        blocks.block("192.0.2.1", 5, "flood")
        self.assertEqual(
            blocks.blocks(),
            [Block("192.0.2.2", NOW + 60, "spam"), Block("192.0.2.1", NOW + 5, "flood")],
        )

    def test_log(self) -> None:
        """
        A block is logged as a warning, and its end by the operator as information.
        """
        blocks = self.make()
        with capturedLogs() as logs:
            blocks.block("192.0.2.1", 60, "spam")
            blocks.unblock("192.0.2.1")
        self.assertEqual(
            linesOf(logs),
            [
                "192.0.2.1 blocked until 2027-01-15 08:01:00 UTC: spam",
                "192.0.2.1 is no longer blocked",
            ],
        )
        self.assertEqual([each["log_level"] for each in logs], [LogLevel.warn, LogLevel.info])

    def test_badInput(self) -> None:
        """
        Wrong addresses and times are refused with a reason.
        """
        blocks = self.make()
        for address in ("", "example", "192.0.2.1:80", "192.0.2.0/24", "2001:db8::/32", "1.2.3"):
            with self.assertRaisesRegex(ValueError, "must be an IPv4 address, an IPv6 address"):
                blocks.block(address, 60, "spam")
            with self.assertRaisesRegex(ValueError, "such as 192.0.2.1 or 2001:db8::/64"):
                blocks.unblock(address)
        for seconds in (0, -1, MAX_SECONDS + 1, float("nan"), float("inf"), 10**400):
            with self.assertRaisesRegex(ValueError, "the time must be more than 0"):
                blocks.block("192.0.2.1", seconds, "spam")
        self.assertEqual(blocks.blocks(), [])

    def test_limits(self) -> None:
        """
        The number of blocks and the length of a reason are limited. Expired blocks do not count.
        """
        blocks = self.make()
        for number in range(MAX_BLOCKS):
            blocks.block(f"10.0.{number // 250}.{number % 250}", 60, "x" * 999)
        with self.assertRaisesRegex(ValueError, "1000 addresses are blocked already"):
            blocks.block("192.0.2.1", 60, "spam")
        self.assertEqual(len(blocks.block("10.0.0.1", 90, "x" * 999).reason), _MAX_REASON)
        self.now += 60
        blocks.block("192.0.2.1", 60, "spam")
        self.assertEqual(len(blocks.blocks()), 2)

    def test_listeners(self) -> None:
        """
        Listeners are called with the added blocks, and with an empty list after a removal.
        """
        blocks = self.make()
        told: list[list[str]] = []

        def changed(added: Sequence[Block]) -> None:
            told.append([each.address for each in added])

        blocks.addListener(changed)
        blocks.block("192.0.2.1", 60, "spam")
        blocks.unblock("192.0.2.1")
        blocks.unblock("192.0.2.1")
        self.assertEqual(told, [["192.0.2.1"], []])

    def test_replace(self) -> None:
        """
        All blocks can be replaced, without a log line. Listeners are called with the blocks of
        new addresses.
        """
        blocks = self.make()
        blocks.block("192.0.2.1", 60, "spam")
        blocks.block("192.0.2.2", 60, "spam")
        told: list[Block] = []
        blocks.addListener(told.extend)
        new = [Block("192.0.2.2", NOW + 5, "spam"), Block("192.0.2.3", NOW + 5, "spam")]
        with capturedLogs() as logs:
            blocks.replace(new)
        self.assertEqual((blocks.blocks(), told, list(logs)), (new, new[1:], []))


class FileTests(BlockListTestCase):
    """
    Blocks are kept in a file.
    """

    def test_kept(self) -> None:
        """
        Each change is written; a new process reads the blocks that have not expired.
        """
        blocks = self.make(self.path)
        self.assertFalse(self.path.exists())
        blocks.block("192.0.2.1", 60, "gr\u00fc\u00dfe\n")
        blocks.block("2001:db8::1", 90, "spam")
        self.assertEqual(self.make(self.path).blocks(), blocks.blocks())
        blocks.unblock("192.0.2.1")
        self.assertEqual(self.make(self.path).blocks(), blocks.blocks())
        self.now += 90
        self.assertEqual(self.make(self.path).blocks(), [])
        self.assertEqual(os.listdir(self.path.parent), ["blocks.json"])

    def test_directory(self) -> None:
        """
        The file keeps its place when the process changes its directory.
        """
        before = os.getcwd()
        os.chdir(self.path.parent)
        try:
            blocks = self.make(Path("blocks.json"))
        finally:
            os.chdir(before)
        blocks.block("192.0.2.1", 60, "spam")
        self.assertTrue(self.path.exists())

    @skipUnless(platform.getType() == "posix", "files have modes on POSIX systems")
    def test_private(self) -> None:
        """
        Only the user of the server can read the file, also if it was readable before. The rest of
        a write that was interrupted is replaced.
        """
        self.path.write_text('{"blocks": []}')
        self.path.chmod(0o644)
        rest = self.path.with_name("blocks.json.new")
        rest.symlink_to("elsewhere")
        self.make(self.path).block("192.0.2.1", 60, "spam")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(self.path.parent), ["blocks.json"])

    def test_cannotWrite(self) -> None:
        """
        If the file cannot be written, the address is blocked until the server stops, with one
        warning.
        """
        blocks = self.make(self.path)
        self.path.mkdir()
        with capturedLogs() as logs:
            blocks.block("192.0.2.1", 60, "spam")
        self.assertTrue(blocks.isBlocked("192.0.2.1"))
        [_, line] = linesOf(logs)
        self.assertIn(f"cannot write the block file {self.path}: ", line)
        self.assertIn("; the change is lost when the server stops", line)

    def test_shared(self) -> None:
        """
        If another server has written the file, its changes are lost, with a warning.
        """
        one, two = self.make(self.path), self.make(self.path)
        with capturedLogs() as logs:
            one.block("192.0.2.1", 60, "spam")
            one.block("192.0.2.2", 60, "spam")
            two.block("192.0.2.3", 60, "spam")
            two.unblock("192.0.2.3")
        [line] = [line for line in linesOf(logs) if "was changed by another program" in line]
        self.assertIn(f"the block file {self.path} was changed", line)
        self.assertIn("each server needs its own --block-file", line)

    def test_twice(self) -> None:
        """
        If the file contains an address twice, the block that ends last counts.
        """
        ends = [NOW + 30, NOW + 60, NOW - 1]
        entries = [{**ENTRY, "until": until} for until in ends]
        self.path.write_text(json.dumps({"blocks": entries}))
        self.assertEqual([each.until for each in self.make(self.path).blocks()], [NOW + 60])

    def test_noDirectory(self) -> None:
        """
        A file in a directory that does not exist is an error.
        """
        with self.assertRaisesRegex(ValueError, "files cannot be created in the directory"):
            self.make(self.path / "blocks.json")

    @skipUnless(platform.getType() == "posix", "Windows has no such files")
    def test_otherFiles(self) -> None:
        """
        Symbolic links, named pipes and directories are refused; reading does not wait.
        """
        link, pipe = (self.path.with_name(name) for name in ("link", "pipe"))
        self.path.write_text('{"blocks": []}')
        link.symlink_to(self.path)
        os.mkfifo(pipe)
        with self.assertRaisesRegex(ValueError, "must not be a symbolic link"):
            self.make(link)
        with self.assertRaisesRegex(ValueError, "must be a regular file"):
            self.make(pipe)
        self.assertRaises(OSError, self.make, self.path.parent)

    def test_tooLong(self) -> None:
        """
        A file that is too long is refused.
        """
        self.path.write_bytes(b" " * (4 * 1024 * 1024 + 1))
        with self.assertRaisesRegex(ValueError, "the file is longer than 4194304 bytes"):
            self.make(self.path)

    def test_broken(self) -> None:
        """
        A broken file is refused with the reason.
        """
        for content, words in [
            ("", "the file is not JSON"),
            ("[" * 99_999, "the file is not JSON"),
            ("[]", "must have the form"),
            ('{"blocks": {}}', "must have the form"),
            ('{"blocks": [], "more": 1}', "must have the form"),
            (json.dumps({"blocks": [ENTRY] * (MAX_BLOCKS + 1)}), "with at most 1000 blocks"),
            ('{"blocks": [1]}', "block 1 must have the form"),
        ]:
            self.path.write_text(content)
            with self.assertRaisesRegex(ValueError, words):
                self.make(self.path)
        for changed in (
            {"until": True},
            {"until": "1"},
            {"until": -1},
            {"until": float("nan")},
            {"until": float("inf")},
            {"until": 10**300},
            {"reason": None},
            {"address": 1},
            {"more": 1},
        ):
            self.path.write_text(json.dumps({"blocks": [ENTRY, {**ENTRY, **changed}]}))
            with self.assertRaisesRegex(ValueError, "block 2 must have the form"):
                self.make(self.path)
        self.path.write_text(json.dumps({"blocks": [{**ENTRY, "address": "games.example"}]}))
        with self.assertRaisesRegex(ValueError, "block 1: 'games.example' must be an IPv4 address"):
            self.make(self.path)

    def test_byHand(self) -> None:
        """
        Addresses that an operator has written are normalized.
        """
        self.path.write_text(json.dumps({"blocks": [{**ENTRY, "address": "2001:DB8::1"}]}))
        self.assertTrue(self.make(self.path).isBlocked("2001:db8::/64"))

    @given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
    def test_anything(self, data: bytes) -> None:
        """
        Any content is parsed, or refused with L{ValueError}.
        """
        with contextlib.suppress(ValueError):
            parseBlocks(data)

    @given(
        st.lists(
            st.builds(
                Block,
                st.ip_addresses(v=4).map(str),
                st.floats(NOW + 1, 2e11),
                st.text(max_size=_MAX_REASON),
            ),
            max_size=20,
            unique_by=lambda block: block.address,
        )
    )
    def test_roundTrip(self, blocks: list[Block]) -> None:
        """
        The content that is written is the content that is read.
        """
        self.setUp()
        kept = self.make(self.path)
        kept.replace(blocks)
        kept.block("2001:db8::1", 60, "last")
        found: Any = self.make(self.path).blocks()
        self.assertEqual(found[:-1], blocks)
