"""
Blocked addresses: connections from these addresses are refused for a time.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.hostlimit import parseHost

MAX_BLOCKS = 1000
"""
Maximum number of blocked addresses.
"""

MAX_SECONDS = 10 * 366 * 86_400
"""
Maximum time for which an address is blocked: 10 years (seconds).
"""

_MAX_REASON = 300
"""
Maximum length of a reason (characters). Longer reasons are cut.
"""

_MAX_FILE = 4 * 1024 * 1024
"""
Maximum length of a block file (bytes).
"""

# The end of the year 9999, as a Unix time.
_MAX_TIME = 253_402_300_800

_FORM = '{"address": "192.0.2.1", "until": 1900000000, "reason": "spam"}'
_TIME = "%Y-%m-%d %H:%M:%S UTC"


class Block(NamedTuple):
    """
    A blocked address.

    @ivar address: an IPv4 address, or an IPv6 network, such as C{2001:db8::/64}; see
        L{hostOf<openfl_twisted.transports.hostlimit.hostOf>}.
    @ivar until: when the block expires (Unix time, seconds).
    @ivar reason: the reason that the operator has given.
    """

    address: str
    until: float
    reason: str


class BlockList:
    """
    The blocked addresses of a server, at most L{MAX_BLOCKS}.
    """

    log = packageLogger()

    def __init__(self, path: str | None = None, *, now: Callable[[], float] = time.time) -> None:
        """
        @param path: the file that keeps the blocks when the server stops; it need not exist.
            C{None} to keep the blocks in memory only.
        @param now: returns the current Unix time.
        @raise OSError: if the file or its directory cannot be used.
        @raise ValueError: if the file is not a block file.
        """
        self._now = now
        self._blocks: dict[str, Block] = {}
        self._listeners: list[Callable[[Sequence[Block]], object]] = []
        # twistd can change the current directory later.
        self._path = None if path is None else Path(path).absolute()
        self._state: tuple[int, ...] = ()
        if self._path is not None:
            for each in _readFile(self._path):
                # If the file contains an address twice, the block that ends last counts.
                if each.until > self._blocks.get(each.address, each._replace(until=-1)).until:
                    self._blocks[each.address] = each
            self._state = _stateOf(self._path)

    def addListener(self, changed: Callable[[Sequence[Block]], object]) -> None:
        """
        Call a function after each change.

        @param changed: called with the added blocks; with an empty list if a block was removed.
        """
        self._listeners.append(changed)

    def isBlocked(self, host: str | None) -> bool:
        """
        Return whether connections from a host are refused. An expired block is removed.

        @param host: the host, from L{hostOf<openfl_twisted.transports.hostlimit.hostOf>}. C{None}
            is never blocked.
        """
        block = self._blocks.get(host or "")
        if block is None:
            return False
        if block.until > self._now():
            return True
        del self._blocks[block.address]
        return False

    def blocks(self) -> list[Block]:
        """
        Return the blocks that have not expired, oldest first.
        """
        now = self._now()
        self._blocks = {host: each for host, each in self._blocks.items() if each.until > now}
        return list(self._blocks.values())

    def block(self, address: str, seconds: float, reason: str) -> Block:
        """
        Refuse connections from an address, and disconnect its clients. A previous block of the
        address is replaced.

        @param address: an IPv4 address, an IPv6 address, or an IPv6 network of 64 bits. For an
            IPv6 address, its network is blocked.
        @param seconds: the time after which the block expires, at most L{MAX_SECONDS}.
        @param reason: the reason, for the log and the dashboard.
        @return: the block.
        @raise ValueError: if a parameter is invalid, or if there are L{MAX_BLOCKS} blocks already.
        """
        host = parseHost(address)
        if not 0 < seconds <= MAX_SECONDS:
            raise ValueError(
                f"the time must be more than 0 and at most {MAX_SECONDS} seconds, not"
                f" {seconds!s:.40}"
            )
        others = [each for each in self.blocks() if each.address != host]
        if len(others) >= MAX_BLOCKS:
            raise ValueError(f"{MAX_BLOCKS} addresses are blocked already: unblock one first")
        block = Block(host, self._now() + seconds, reason[:_MAX_REASON])
        self._set([*others, block])
        self.log.warn(
            "{host} blocked until {until}: {reason}",
            host=host,
            until=f"{datetime.fromtimestamp(block.until, UTC):{_TIME}}",
            reason=block.reason,
        )
        self._changed([block])
        return block

    def unblock(self, address: str) -> bool:
        """
        Accept connections from an address again.

        @param address: see L{block}.
        @return: whether the address was blocked.
        @raise ValueError: if the address is invalid.
        """
        host = parseHost(address)
        wasBlocked = self.isBlocked(host)
        if wasBlocked:
            del self._blocks[host]
            self.log.info("{host} is no longer blocked", host=host)
            self._changed([])
        return wasBlocked

    def replace(self, blocks: Iterable[Block]) -> None:
        """
        Replace all blocks, without a log line and without writing the file: a worker receives them
        from its supervisor.

        @param blocks: the blocks.
        """
        known = self._blocks
        self._set(blocks)
        self._notify([each for host, each in self._blocks.items() if host not in known])

    def _set(self, blocks: Iterable[Block]) -> None:
        self._blocks = {each.address: each for each in blocks}

    def _changed(self, added: Sequence[Block]) -> None:
        if self._path is not None:
            if _stateOf(self._path) != self._state:
                self.log.warn(
                    "the block file {path} was changed by another program, and is overwritten; "
                    "each server needs its own --block-file",
                    path=self._path,
                )
            try:
                _writeFile(self._path, self.blocks())
            except OSError as problem:
                self.log.warn(
                    "cannot write the block file {path}: {problem}; the change is lost when the"
                    " server stops",
                    path=self._path,
                    problem=problem.strerror,
                )
            self._state = _stateOf(self._path)
        self._notify(added)

    def _notify(self, added: Sequence[Block]) -> None:
        for listener in self._listeners:
            listener(added)


def parseBlocks(data: bytes) -> list[Block]:
    """
    Parse a block file: a JSON object with the list C{blocks}.

    @param data: the content of the file.
    @return: the blocks, including expired ones.
    @raise ValueError: if the content is invalid.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the file is not JSON") from None
    match found:
        case {"blocks": list() as items} if len(found) == 1 and len(items) <= MAX_BLOCKS:
            return [_parseBlock(number, item) for number, item in enumerate(items, 1)]
    raise ValueError(
        f'the file must have the form {{"blocks": [...]}}, with at most {MAX_BLOCKS} blocks'
    )


def _parseBlock(number: int, item: Any) -> Block:
    match item:
        case {
            "address": str() as address,
            "until": int() | float() as until,
            "reason": str() as reason,
        } if len(item) == 3 and not isinstance(until, bool) and 0 <= until < _MAX_TIME:
            try:
                return Block(parseHost(address), until, reason[:_MAX_REASON])
            except ValueError as problem:
                raise ValueError(f"block {number}: {problem}") from None
    raise ValueError(f"block {number} must have the form {_FORM}")


def _readFile(path: Path) -> list[Block]:
    """
    Read a block file. Symbolic links, devices and long files are refused.

    @return: the blocks; an empty list if the file does not exist.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("the file must be a regular file")
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise ValueError(f"files cannot be created in the directory {path.parent}") from None
        return []
    except OSError as problem:
        if path.is_symlink():
            raise ValueError("the file must not be a symbolic link") from problem
        raise
    if len(data) > _MAX_FILE:
        raise ValueError(f"the file is longer than {_MAX_FILE} bytes")
    return parseBlocks(data)


def _stateOf(path: Path) -> tuple[int, ...]:
    """
    Return inode, modification time and size of a file. These values change when the file is
    written.

    @return: an empty tuple if there is no regular file.
    """
    try:
        found = path.stat()
    except OSError:
        return ()
    isFile = S_ISREG(found.st_mode)
    return (found.st_ino, found.st_mtime_ns, found.st_size) if isFile else ()


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _writeFile(path: Path, blocks: Sequence[Block]) -> None:
    """
    Replace a block file. Other users cannot read it, and a crash does not leave a part of it.
    """
    items = ",\n".join(json.dumps(each._asdict()) for each in blocks)
    temporary = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        # A crash can have left the file.
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f'{{"blocks": [\n{items}\n]}}\n')
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
