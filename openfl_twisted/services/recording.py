"""
The options that record sessions, and the recorder of a server.
"""

from typing import TYPE_CHECKING, Any

from twisted.python import usage

from openfl_twisted.commandline import Group, Option
from openfl_twisted.sessions._dialects import dialectOf
from openfl_twisted.sessions._limits import MAX_RUN, MAX_SESSION
from openfl_twisted.wire.dialects import DIALECTS

if TYPE_CHECKING:
    # Importing it takes long, and most servers do not need it.
    from openfl_twisted.sessions._recorder import Recorder


def recordingOptions(size: Any) -> list[Option]:
    """
    Create the options.

    @param size: parses a maximum size.
    """
    return [
        Option(
            Group.RECORDING,
            "record",
            "FOLDER",
            "Record what clients and server say, for openfl-session. Recordings hold passwords.",
        ),
        Option(
            Group.RECORDING,
            "record-hide",
            "NAME=REGEX",
            "Replace the group of this pattern by {NAME} in recordings; can be repeated.",
        ),
        Option(
            Group.RECORDING,
            "dialect",
            "DIALECT",
            (
                "How to divide the data into messages, for recordings and the dashboard: "
                f"{', '.join(DIALECTS)}, or module:object."
            ),
            shown="that of the server",
        ),
        Option(
            Group.RECORDING,
            "record-addresses",
            "",
            "Record the addresses of the clients.",
        ),
        Option(
            Group.RECORDING,
            "record-session-limit",
            "BYTES",
            "Maximum size of the recording of one connection.",
            MAX_SESSION,
            size,
        ),
        Option(
            Group.RECORDING,
            "record-limit",
            "BYTES",
            "Maximum size of all recordings of a run.",
            MAX_RUN,
            size,
        ),
    ]


def makeRecorder(options: Any) -> "Recorder | None":
    """
    Create the recorder of a server.

    @param options: the parsed options.
    @return: the recorder, which is not started; C{None} without C{--record}.
    @raise usage.UsageError: if an option is invalid, or requires C{--record}.
    """
    folder = options["record"]
    if folder is None:
        limits = {"record-session-limit": MAX_SESSION, "record-limit": MAX_RUN}
        for name in ("record-addresses", "record-hide", *limits):
            if options[name] and options[name] != limits.get(name):
                raise usage.UsageError(f"--{name} requires --record")
    name = options["dialect"] or options.serverDialect
    dialect = dialectOf("dialect", name)
    if folder is None:
        return None
    # Import the module here: most servers do not record.
    from openfl_twisted.sessions._recorder import Recorder

    worker = options.worker
    try:
        return Recorder(
            folder,
            name,
            dialect,
            hide=options["record-hide"],
            sessionLimit=options["record-session-limit"],
            limit=options["record-limit"],
            recordAddresses=bool(options["record-addresses"]),
            suffix="" if worker is None else f"-worker{worker.number}",
        )
    except ValueError as problem:
        raise usage.UsageError(f"--record-hide: {problem}") from None
