"""
What C{openfl.system} has for sockets: C{Security}.
"""

from typing import ClassVar

from openfl_twisted import errors


class Security:
    """
    What a program may do, by where it comes from. It is never instantiated.

    @cvar sandboxType: one of the constants. Flash Player sets it; here a
        program of Python is a desktop program, and nobody else sets it.
    @cvar exactSettings: whether settings belong to a whole host name; they are
        the player's, so nothing depends on it here.
    @cvar pageDomain: the domain of the page around the program. There is none.
    """

    REMOTE = "remote"
    LOCAL_WITH_FILE = "localWithFile"
    LOCAL_WITH_NETWORK = "localWithNetwork"
    LOCAL_TRUSTED = "localTrusted"
    APPLICATION = "application"

    sandboxType: ClassVar[str] = APPLICATION
    exactSettings: ClassVar[bool] = True
    pageDomain: ClassVar[str | None] = None

    @classmethod
    def allowDomain(cls, *domains: str) -> None:
        """
        Let programs of other domains use this one. No program of Flash can, so
        the arguments are checked, and that is all.

        @param domains: the domains, or IP addresses; C{*} for all.
        @raise errors.SecurityError: #3207, in the sandbox C{application}.
        @raise errors.ArgumentError: #2052, if one of them is not text.
        """
        if cls.sandboxType == cls.APPLICATION:
            raise errors.SecurityError.numbered(3207)
        if not all(isinstance(domain, str) for domain in domains):
            raise errors.ArgumentError.numbered(2052)

    @classmethod
    def allowInsecureDomain(cls, *domains: str) -> None:
        """
        Let programs that came without encryption use this one, which came with
        it; see L{allowDomain}.

        @param domains: the domains, or IP addresses; C{*} for all.
        @raise errors.SecurityError: #3207, in the sandbox C{application}.
        @raise errors.ArgumentError: #2052, if one of them is not text.
        """
        cls.allowDomain(*domains)
