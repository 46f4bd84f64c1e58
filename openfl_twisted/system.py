"""
What C{openfl.system} has for sockets: C{Security}.
"""

from collections import deque
from typing import ClassVar

from openfl_twisted import errors

MAX_POLICY_URLS = 100
"""
How many URLs L{Security.loadPolicyFile} remembers; beyond it the oldest is
forgotten.
"""


class Security:
    """
    What a program may do, by where it comes from. It is never instantiated.

    A program of Python is a desktop program, whose sockets need no permission.
    Set C{sandboxType} and C{swfURL} to see a server as a program in Flash Player
    would: then C{connect} looks for a policy file first.

    @cvar sandboxType: one of the constants. Flash Player sets it; here it is
        for the program to set. With C{REMOTE}, policy files decide about
        sockets; so they do with C{LOCAL_WITH_NETWORK}, where only rules for
        everybody count, and with C{LOCAL_TRUSTED}, but not for this machine
        itself. With C{LOCAL_WITH_FILE} there are no sockets.
    @cvar swfURL: from where the program came, for C{REMOTE}: a URL of http or
        https. It stands for C{LoaderInfo.url}. Without it only rules for
        everybody count.
    @cvar policyFiles: the URLs that were given to L{loadPolicyFile}.
    @cvar exactSettings: whether settings belong to a whole host name; they are
        the player's, so nothing depends on it here.
    @cvar pageDomain: the domain of the page around the program. There is none.
    @cvar APPLICATION: the default of C{sandboxType}: a program of AIR, and one
        of Python; no policy file is asked for.
    """

    REMOTE = "remote"
    LOCAL_WITH_FILE = "localWithFile"
    LOCAL_WITH_NETWORK = "localWithNetwork"
    LOCAL_TRUSTED = "localTrusted"
    APPLICATION = "application"

    sandboxType: ClassVar[str] = APPLICATION
    exactSettings: ClassVar[bool] = True
    pageDomain: ClassVar[str | None] = None
    swfURL: ClassVar[str | None] = None
    policyFiles: ClassVar[deque[str]] = deque(maxlen=MAX_POLICY_URLS)

    @classmethod
    def loadPolicyFile(cls, url: str) -> None:
        """
        Name one more policy file, to be looked at before all others. It is got
        when a socket first needs it, and speaks only for sockets to its own
        host.

        @param url: C{xmlsocket://host:port}. As in Flash Player 10, files of
            http and others have no effect on sockets; the reason is in the text
            of the C{securityError}.
        @raise errors.TypeError: #2007, if it is C{None}.
        """
        if url is None:
            raise errors.TypeError.numbered(2007, "url")
        if url not in cls.policyFiles:
            cls.policyFiles.append(str(url))

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
