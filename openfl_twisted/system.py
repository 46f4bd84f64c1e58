"""
The sandbox of a program (C{openfl.system.Security}).
"""

from collections import deque
from typing import ClassVar

from openfl_twisted import errors
from openfl_twisted.wire.text import describeValue

_MAX_POLICY_URLS = 100
"""
Maximum number of URLs stored by L{Security.loadPolicyFile}. Beyond this number, the oldest URL
is dropped.
"""


class Security:
    """
    The security sandbox of the program. The class is never instantiated.

    A Python program is a desktop program, and its sockets need no permission. Set
    C{sandboxType} and C{swfURL} to connect as a program in Flash Player would. C{connect} then
    requests a policy file first.

    @cvar sandboxType: one of the constants, set by the program (in Flash, by the player). In
        C{REMOTE}, policy files decide which sockets may connect. In C{LOCAL_WITH_NETWORK},
        only the policy files' rules for all domains apply. In C{LOCAL_TRUSTED}, connections to
        the loopback interface need no policy file, and policy files decide about all other
        connections. In C{LOCAL_WITH_FILE}, all sockets are denied.
    @cvar swfURL: the HTTP or HTTPS URL from which the program was loaded, for C{REMOTE}; in
        Flash, C{LoaderInfo.url}. Without a URL, only rules for all domains apply.
    @cvar policyFiles: the URLs passed to L{loadPolicyFile}.
    @cvar exactSettings: whether settings of the player apply to an exact host name. This
        attribute has no effect here.
    @cvar pageDomain: the domain of the surrounding HTML page; always C{None}.
    @cvar APPLICATION: the default of C{sandboxType}: an AIR program, or a Python
        program. No policy file is requested.
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
    policyFiles: ClassVar[deque[str]] = deque(maxlen=_MAX_POLICY_URLS)

    @classmethod
    def loadPolicyFile(cls, url: str) -> None:
        """
        Add a policy file to be checked before all other policy files. The file is requested
        when a socket first needs it, and applies only to connections to the host of the URL.

        @param url: C{xmlsocket://host:port}. As in Flash Player 10, policy files from
            other URLs, such as C{http}, do not apply to sockets; the text of the
            C{securityError} explains this.
        @raise errors.TypeError: #2007, if the URL is C{None}.
        """
        if url is None:
            raise errors.TypeError.numbered(2007, "url")
        if url not in cls.policyFiles:
            cls.policyFiles.append(str(url))

    @classmethod
    def allowDomain(cls, *domains: str) -> None:
        """
        Allow programs from other domains to script this program. Flash programs cannot script
        a Python program, so the arguments are only checked.

        @param domains: the domains or IP addresses; C{*} for all.
        @raise errors.SecurityError: #3207, in the sandbox C{application}.
        @raise errors.ArgumentError: #2052, if a domain is not text.
        """
        if cls.sandboxType == cls.APPLICATION:
            words = f"Security.sandboxType is {cls.sandboxType!r}"
            raise errors.SecurityError.numbered(3207, words=words)
        for domain in domains:
            if not isinstance(domain, str):
                words = f"{describeValue(domain)} must be text"
                raise errors.ArgumentError.numbered(2052, words=words)

    @classmethod
    def allowInsecureDomain(cls, *domains: str) -> None:
        """
        Allow programs loaded over HTTP to script this program, loaded over HTTPS; see
        L{allowDomain}.

        @param domains: the domains or IP addresses; C{*} for all.
        @raise errors.SecurityError: #3207, in the sandbox C{application}.
        @raise errors.ArgumentError: #2052, if a domain is not text.
        """
        cls.allowDomain(*domains)
