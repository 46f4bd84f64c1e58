"""
OpenFL's errors, with Flash's error numbers (C{openfl.errors}).

Each class is also a subclass of the matching built-in exception, so C{except EOFError}
and C{except OSError} catch both.
"""

import builtins
import traceback
from typing import Self

MESSAGES = {
    1000: "The system is out of memory.",
    2002: "Operation attempted on invalid socket.",
    2003: "Invalid socket port number specified.",
    2004: "One of the parameters is invalid.",
    2006: "The supplied index is out of bounds.",
    2007: "Parameter %1 must be non-null.",
    2008: "Parameter %1 must be one of the accepted values.",
    2010: "Local-with-filesystem SWF files are not permitted to use sockets.",
    2011: "Socket connection failed to %1:%2.",
    2030: "End of file was encountered.",
    2031: "Socket Error.",
    2044: "Unhandled %1:.",
    2048: "Security sandbox violation: %1 cannot load data from %2.",
    2052: "Only String arguments are permitted for allowDomain and allowInsecureDomain.",
    2058: "There was an error decompressing the data.",
    2085: "Parameter %1 must be a non-empty string.",
    2094: "Event dispatch recursion overflow.",
    2173: "Unable to read object in stream. The class %1 does not implement "
    "flash.utils.IExternalizable but is aliased to an externalizable class.",
    3207: "Application-sandbox content cannot access this feature.",
}
"""
Flash's messages by error number; C{%1} and C{%2} are placeholders.
"""


def messageOf(errorID: int, *parameters: object) -> str:
    """
    Return the text of an error as Flash formats it, such as C{Error #2002: Operation
    attempted on invalid socket.}

    @param errorID: a key of L{MESSAGES}.
    @param parameters: the values for C{%1} and C{%2}.
    """
    text = MESSAGES[errorID]
    for number, parameter in enumerate(parameters, 1):
        text = text.replace(f"%{number}", str(parameter))
    return f"Error #{errorID}: {text}"


class Error(Exception):
    """
    Base class of all errors.

    @ivar message: the text.
    """

    def __init__(self, message: str = "", errorID: int = 0) -> None:
        """
        @param errorID: Flash's error number, or 0.
        """
        super().__init__(message)
        self.message = message
        self._errorID = errorID

    def __str__(self) -> str:
        return self.message

    @property
    def errorID(self) -> int:
        """
        Flash's error number, or 0.
        """
        return self._errorID

    @property
    def name(self) -> str:
        """
        The name of the class.
        """
        return type(self).__name__

    def getStackTrace(self) -> str:
        """
        Return the traceback of the error as Python formats it.
        """
        return "".join(traceback.format_exception(self))

    @classmethod
    def numbered(cls, errorID: int, *parameters: object, words: str = "") -> Self:
        """
        Create an error with Flash's number and text; see L{messageOf}.

        @param errorID: a key of L{MESSAGES}.
        @param parameters: the values for C{%1} and C{%2}.
        @param words: the value and the remedy, which are appended in parentheses.
        """
        text = messageOf(errorID, *parameters)
        return cls(f"{text} ({words})" if words else text, errorID)


class ArgumentError(Error, builtins.ValueError):
    """
    An argument has a value that is not accepted.
    """


class RangeError(Error, builtins.ValueError):
    """
    A number is outside its range.
    """


class TypeError(Error, builtins.TypeError):
    """
    A value has the wrong type, most often C{None}.
    """


class SecurityError(Error):
    """
    Flash's security rules deny an operation.
    """


class MemoryError(Error, builtins.MemoryError):
    """
    Not enough memory is available.
    """


class IllegalOperationError(Error):
    """
    An operation is not possible in the current state or environment.
    """


class IOError(Error, builtins.OSError):
    """
    Input or output failed.
    """


class EOFError(IOError, builtins.EOFError):
    """
    Fewer bytes are available than were requested.
    """

    def __init__(self, message: str | None = None, errorID: int = 2030) -> None:
        """
        @param message: the text (default: the text of #2030).
        @param errorID: Flash's error number (default #2030).
        """
        super().__init__(messageOf(2030) if message is None else message, errorID)
