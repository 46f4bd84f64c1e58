"""
The files of C{--site}: which files of a folder are served, and with which content type.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

CONTENT_TYPES = {
    **dict.fromkeys(("htm", "html"), "text/html"),
    "css": "text/css",
    **dict.fromkeys(("js", "mjs"), "text/javascript"),
    "json": "application/json",
    "xml": "application/xml",
    **dict.fromkeys(("csv", "fnt", "txt"), "text/plain"),
    "wasm": "application/wasm",
    **dict.fromkeys(("swf", "swz"), "application/x-shockwave-flash"),
    **dict.fromkeys(("bin", "dat", "zip"), "application/octet-stream"),
    "gif": "image/gif",
    "ico": "image/x-icon",
    **dict.fromkeys(("jpeg", "jpg"), "image/jpeg"),
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    **dict.fromkeys(("oga", "ogg", "opus"), "audio/ogg"),
    "wav": "audio/wav",
    **dict.fromkeys(("f4v", "mp4"), "video/mp4"),
    "flv": "video/x-flv",
    "ogv": "video/ogg",
    "webm": "video/webm",
    "otf": "font/otf",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
}
"""
The content type for each ending of a file name. Other files are not served. Python's module
C{mimetypes} is not used because its table depends on the system.
"""

# Matches names that are never served: hidden files, and names with a character that separates
# folders, drives or streams on any system.
_unsafe = re.compile(r"\.|.*[\x00-\x1f\x7f/\\:]", re.DOTALL)
# Matches the names of devices, which Windows finds in every folder.
_device = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3])\s*(\..*)?", re.IGNORECASE
)


_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def _isSafe(name: str) -> bool:
    return not (name == "" or _unsafe.match(name) or _device.fullmatch(name))


class SiteFolder:
    """
    A folder whose files are served.

    @ivar path: the folder, without symbolic links.
    """

    def __init__(self, path: str | Path) -> None:
        """
        @param path: the folder. It can be a symbolic link.
        """
        self.path = Path(os.path.realpath(path))

    def find(self, names: Sequence[str]) -> Path | None:
        """
        Find a file or a folder that can be served. A name must neither be hidden nor contain a
        separator, and symbolic links must not lead out of the folder.

        @param names: the decoded segments of the request path.
        @return: the path without symbolic links; C{None} if the path does not exist, or is not
            served. A folder has no content type.
        """
        if not all(map(_isSafe, names)):
            return None
        try:
            found = self.path.joinpath(*names).resolve(strict=True)
            if not all(map(_isSafe, found.relative_to(self.path).parts)):
                return None
            return found if found.is_dir() or (contentTypeOf(found) and found.is_file()) else None
        except (OSError, RuntimeError, ValueError):
            # RuntimeError is raised for a loop of symbolic links.
            return None

    def open(self, path: Path) -> BinaryIO:
        """
        Open a file. A symbolic link that has replaced the file or one of its folders since L{find}
        is not followed, except on Windows.

        @param path: the result of L{find}.
        @return: the file.
        @raise OSError: if the file cannot be read.
        """
        if os.open not in os.supports_dir_fd:
            return path.open("rb")
        *folders, name = path.relative_to(self.path).parts
        folder = os.open(self.path, _FOLDER)
        try:
            for each in folders:
                above, folder = folder, os.open(each, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(above)
            # Do not wait for the other side of a named pipe.
            more = os.O_NOFOLLOW | os.O_NONBLOCK
            return open(
                name,
                "rb",
                opener=lambda name, flags: os.open(name, flags | more, dir_fd=folder),
            )
        finally:
            os.close(folder)


def contentTypeOf(path: Path) -> str | None:
    """
    Return the content type of a file; C{None} if its ending is not served.

    @param path: the path of the file.
    """
    return CONTENT_TYPES.get(path.suffix[1:].lower())
