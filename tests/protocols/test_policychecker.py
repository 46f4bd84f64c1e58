"""
Tests for L{openfl_twisted.protocols.policychecker}.
"""

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols import policychecker
from openfl_twisted.protocols.policychecker import PermittedEndpoint, PolicyChecker
from openfl_twisted.testing import MemoryNetwork, Peer
from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import Decision
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule

HOST = "chat.example"
CONTENT = Content("games.example")
GRANTING = PolicyFile((AccessRule("games.example", "*"),))
REFUSING = PolicyFile((AccessRule("other.example", "*"),))

NAMED, MASTER, OWN = 8430, 843, 8080


def control(policy: PolicyFile, siteControl: str) -> PolicyFile:
    """
    Set the meta-policy of a policy file.
    """
    return PolicyFile(policy.rules, siteControl)


class CheckerTestCase(SynchronousTestCase):
    """
    A checker on an in-memory network that holds all connection attempts.

    @ivar asked: the host and the port of each requested policy file, in order.
    @ivar faults: the exceptions with which the next connection attempts fail.
    """

    def setUp(self) -> None:
        """
        Create a checker with an empty cache.
        """
        self.network = MemoryNetwork()
        self.network.attempts.hold()
        self.asked: list[tuple[str, int]] = []
        self.faults: list[Exception] = []
        self.told: list[str] = []
        self.checker = PolicyChecker(self.endpointFor, clock=self.network.reactor)

    def endpointFor(self, host: str, port: int) -> IStreamClientEndpoint:
        """
        Return the endpoint of a server.
        """
        self.asked.append((host, port))
        endpoint = TCP4ClientEndpoint(self.network.reactor, "192.0.2.1", port, timeout=9999)
        if self.faults:
            return PermittedEndpoint(endpoint, lambda: fail(self.faults.pop()))
        return endpoint

    def check(self, *named: str, port: int = OWN, host: str = HOST) -> Deferred[Decision]:
        """
        Ask for a decision.
        """
        self.told.clear()
        checking = self.checker.check(CONTENT, host, port, named=named, tell=self.told.append)
        self.network.flush()
        return checking

    def assertPorts(self, *ports: int) -> None:
        """
        Assert the requested ports, in order.
        """
        self.assertEqual([port for _, port in self.asked], list(ports))

    def assertDecided(self, checking: Deferred[Decision], permitted: bool, *words: str) -> None:
        """
        Assert the decision and the end of its last reason, and that no timer runs.
        """
        decision = self.successResultOf(checking)
        self.assertIs(decision.permitted, permitted, decision)
        self.assertEqual(list(decision.reasons), self.told)
        for word in words:
            self.assertIn(word, decision.reasons[-1])
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def accept(self, number: int = -1) -> Peer:
        """
        Accept a connection (default: the last).
        """
        attempt = self.network.attempts.made[number]
        server: Peer = attempt.answer(Factory.forProtocol(Peer))
        return server

    def send(self, data: bytes, number: int = -1) -> Peer:
        """
        Accept a connection (default: the last), and answer.
        """
        server = self.accept(number)
        server.send(data)
        self.network.flush()
        return server

    def answer(self, what: PolicyFile | bytes | None) -> None:
        """
        Answer as the server of the last connection attempt, or refuse the connection
        with C{None}.
        """
        if what is None:
            self.network.attempts.made[-1].refuse()
        else:
            self.send(what if isinstance(what, bytes) else what.toXML() + b"\0")


class OrderTests(CheckerTestCase):
    """
    Files are requested in the player's order.
    """

    def test_masterAndOwn(self) -> None:
        """
        For each master policy file and file of the port: the requested ports, and the
        decision.
        """
        invalid = b"<html/>\0"
        for master, own, ports, permitted in [
            # The master grants: no other file is requested, whatever its meta-policy.
            (GRANTING, None, (MASTER,), True),
            (control(GRANTING, "all"), None, (MASTER,), True),
            (control(GRANTING, "master-only"), None, (MASTER,), True),
            # It forbids every file, itself too.
            (control(GRANTING, "none"), None, (MASTER,), False),
            (control(GRANTING, "nonsense"), None, (MASTER,), False),
            (control(REFUSING, "none"), None, (MASTER,), False),
            # It does not grant, and is the only one that counts.
            (control(REFUSING, "master-only"), None, (MASTER,), False),
            (control(PolicyFile(), "master-only"), None, (MASTER,), False),
            # It does not grant, and the others count.
            (REFUSING, GRANTING, (MASTER, OWN), True),
            (REFUSING, REFUSING, (MASTER, OWN), False),
            (REFUSING, None, (MASTER, OWN), False),
            (REFUSING, invalid, (MASTER, OWN), False),
            (control(REFUSING, "all"), GRANTING, (MASTER, OWN), True),
            (control(PolicyFile(), "all"), REFUSING, (MASTER, OWN), False),
            # The file is missing or invalid.
            (None, GRANTING, (MASTER, OWN), True),
            (None, REFUSING, (MASTER, OWN), False),
            (None, None, (MASTER, OWN), False),
            (None, invalid, (MASTER, OWN), False),
            (invalid, GRANTING, (MASTER, OWN), True),
            (invalid, REFUSING, (MASTER, OWN), False),
            # On the port itself a meta-policy does not count.
            (None, control(GRANTING, "none"), (MASTER, OWN), True),
        ]:
            self.setUp()
            checking = self.check()
            self.assertPorts(MASTER)
            self.answer(master)
            if len(ports) > 1:
                self.assertNoResult(checking)
                self.assertPorts(MASTER, OWN)
                self.answer(own)
            self.assertPorts(*ports)
            self.assertDecided(checking, permitted)

    def test_named(self) -> None:
        """
        Files passed to C{loadPolicyFile} are requested first, in order. If one grants,
        no other file is requested; if none does, the master follows.
        """
        named = (f"xmlsocket://{HOST}:{NAMED}", f"xmlsocket://{HOST.upper()}:{NAMED + 1}")
        for answers, permitted in [
            ((GRANTING,), True),
            ((control(GRANTING, "none"),), True),
            ((REFUSING, GRANTING), True),
            ((None, GRANTING), True),
            ((b"<html/>\0", GRANTING), True),
            ((REFUSING, REFUSING, GRANTING), True),
            ((None, None, None, GRANTING), True),
            ((REFUSING, REFUSING, control(REFUSING, "none")), False),
            ((REFUSING, REFUSING, control(REFUSING, "master-only")), False),
            ((REFUSING, REFUSING, REFUSING, REFUSING), False),
        ]:
            self.setUp()
            checking = self.check(*named)
            for answer in answers:
                self.assertNoResult(checking)
                self.answer(answer)
            self.assertPorts(*(NAMED, NAMED + 1, MASTER, OWN)[: len(answers)])
            self.assertDecided(checking, permitted)

    def test_namedIsSlow(self) -> None:
        """
        A file passed to C{loadPolicyFile} has a longer timeout than the master.
        """
        checking = self.check(f"xmlsocket://{HOST}:{NAMED}")
        self.network.advance(500)
        self.assertPorts(NAMED)
        self.answer(GRANTING)
        self.assertDecided(checking, True)

    def test_namedForever(self) -> None:
        """
        The timeout of such a file is limited.
        """
        checking = self.check(f"xmlsocket://{HOST}:{NAMED}")
        self.network.advance(policychecker.NAMED_TIMEOUT)
        self.assertPorts(NAMED, MASTER)
        self.answer(GRANTING)
        self.assertDecided(checking, True)

    def test_namedElsewhere(self) -> None:
        """
        A file applies only to its own host; an HTTP file applies to no socket, which is
        reported.
        """
        checking = self.check(
            f"xmlsocket://other.example:{NAMED}", f"http://{HOST}/crossdomain.xml", "nonsense"
        )
        self.assertPorts(MASTER)
        self.answer(GRANTING)
        self.assertDecided(checking, True)
        self.assertIn("has no effect on sockets", self.told[0])
        self.assertIn("'nonsense' is not a URL", self.told[1])

    def test_namedMaster(self) -> None:
        """
        The master can be passed to C{loadPolicyFile}, too: it is requested once, and
        its meta-policy counts.
        """
        checking = self.check(f"xmlsocket://{HOST}:{MASTER}")
        self.answer(control(GRANTING, "none"))
        self.assertPorts(MASTER)
        self.assertDecided(checking, False, "'none': no other policy file is valid")

    def test_silentMaster(self) -> None:
        """
        A master that is not received within 3 seconds is missing, whether the
        connection or the answer is slow.
        """
        for accepted in (False, True):
            self.setUp()
            checking = self.check()
            if accepted:
                self.assertEqual(self.send(b"<cross").segments, [REQUEST])
            self.network.advance(2.9)
            self.assertPorts(MASTER)
            self.network.advance(0.1)
            self.assertPorts(MASTER, OWN)
            self.assertIn("master policy file on port 843: no answer in time", self.told)
            self.answer(GRANTING)
            self.assertDecided(checking, True)

    def test_silentPort(self) -> None:
        """
        A port that does not answer grants nothing.
        """
        checking = self.check()
        self.answer(None)
        self.accept()
        self.network.advance(9.9)
        self.assertNoResult(checking)
        self.network.advance(0.1)
        self.assertDecided(checking, False, "policy file on port 8080: no answer in time")

    def test_portRule(self) -> None:
        """
        For ports below 1024, only files from ports below 1024 can grant.
        """
        for port, answers in [
            (80, (GRANTING,)),
            (1023, (None, GRANTING)),
            (80, (None, PolicyFile.forPort(80))),
        ]:
            self.setUp()
            checking = self.check(port=port)
            for answer in answers:
                self.answer(answer)
            self.assertDecided(checking, True)
        self.setUp()
        checking = self.check(f"xmlsocket://{HOST}:{NAMED}", port=80)
        self.answer(GRANTING)
        self.assertIn("cannot grant ports below 1024", self.told[-1])
        self.answer(GRANTING)
        self.assertDecided(checking, True)

    def test_toTheMaster(self) -> None:
        """
        For port 843 itself, only one file is requested.
        """
        checking = self.check(port=MASTER)
        self.answer(REFUSING)
        self.assertPorts(MASTER)
        self.assertDecided(checking, False)

    def test_standIn(self) -> None:
        """
        Another port can replace 843, with all its rights.
        """
        self.checker = PolicyChecker(self.endpointFor, masterPort=9843, clock=self.network.reactor)
        checking = self.check(port=80)
        self.assertPorts(9843)
        self.answer(GRANTING)
        self.assertDecided(checking, True)

    def test_olderRules(self) -> None:
        """
        By the older rules, no file is requested.
        """
        self.checker.olderRules = True
        self.assertDecided(self.check(), False, "port 8080 is not below 1024")
        self.assertDecided(self.check(host="games.example"), True)
        self.assertDecided(self.check(host="games.example", port=80), False)
        self.assertPorts()


class ReasonTests(CheckerTestCase):
    """
    The result of each step is reported.
    """

    def test_lines(self) -> None:
        """
        Each file and each of its rules is reported.
        """
        checking = self.check()
        self.answer(REFUSING)
        self.answer(GRANTING)
        self.successResultOf(checking)
        size = len(REFUSING.toXML())
        refused = "does not grant access: its domain does not match 'games.example'"
        self.assertEqual(
            self.told,
            [
                f"master policy file on port 843: a policy file of {size} bytes",
                f"rule 1 (domain 'other.example' to-ports '*') {refused}",
                f"policy file on port 8080: a policy file of {size} bytes",
                "rule 1 (domain 'games.example' to-ports '*') grants access",
            ],
        )

    def test_failures(self) -> None:
        """
        The reason for a missing file is reported.
        """
        for reason, words in [
            (error.ConnectionRefusedError(), "connection refused"),
            (error.DNSLookupError(), "unknown host name"),
            (error.TimeoutError(), "no answer in time"),
            (error.NoRouteError(113, "No route to host"), "connection failed: "),
            (error.ConnectError(string="no way"), "connection failed: no way"),
            (ValueError("no such thing"), "connection failed: no such thing"),
        ]:
            self.setUp()
            self.faults.append(reason)
            checking = self.check()
            self.assertIn(f"master policy file on port 843: {words}", self.told[-1])
            self.answer(b"\0")
            self.assertDecided(checking, False, "invalid policy file: the file is not w")

    def test_strangeAnswer(self) -> None:
        """
        For any answer of a server, each reason fits one terminal line.
        """
        checking = self.check()
        self.answer(b'<cross-domain-policy><allow-access-from domain="&#x9b;&#10;"/>\0')
        self.answer(
            b'<cross-domain-policy><allow-access-from domain="&#x9b;&#10;" to-ports="&#10;"/>'
            b"</cross-domain-policy>\0"
        )
        self.assertDecided(checking, False)
        self.assertTrue(all(line.isprintable() for line in self.told), self.told)

    def test_withoutTell(self) -> None:
        """
        The C{tell} parameter is optional.
        """
        checking = self.checker.check(CONTENT, HOST, OWN)
        self.network.flush()
        self.answer(GRANTING)
        self.assertEqual(len(self.successResultOf(checking).reasons), 2)


class MemoryTests(CheckerTestCase):
    """
    Files are cached.
    """

    def test_known(self) -> None:
        """
        Files and their absence are cached; the decision is made for each port.
        """
        checking = self.check()
        self.answer(None)
        self.answer(GRANTING)
        self.assertDecided(checking, True)
        self.assertDecided(self.check(host=HOST.upper()), True)
        self.assertPorts(MASTER, OWN)
        checking = self.check(port=9000)
        self.assertPorts(MASTER, OWN, 9000)
        self.answer(REFUSING)
        self.assertDecided(checking, False)
        self.assertDecided(self.check(port=9000), False)
        self.assertPorts(MASTER, OWN, 9000)

    def test_otherHost(self) -> None:
        """
        Files are cached by host.
        """
        self.check()
        self.answer(GRANTING)
        checking = self.check(host="other.example")
        self.assertEqual([host for host, _ in self.asked], [HOST, "other.example"])
        self.assertNoResult(checking)

    def test_shared(self) -> None:
        """
        Connections to several ports of a host share one request of the master.
        """
        one, two = self.check(), self.check(port=9000)
        self.assertPorts(MASTER)
        self.answer(REFUSING)
        self.assertPorts(MASTER, OWN, 9000)
        self.send(GRANTING.toXML(), 1).close()
        self.network.flush()
        self.network.attempts.made[2].refuse()
        self.assertTrue(self.successResultOf(one).permitted)
        self.assertFalse(self.successResultOf(two).permitted)

    def test_forget(self) -> None:
        """
        After C{forget}, files are requested again; pending requests still receive their
        files.
        """
        self.check()
        self.answer(GRANTING)
        self.checker.forget()
        one = self.check()
        self.assertPorts(MASTER, MASTER)
        self.checker.forget()
        two = self.check()
        self.assertPorts(MASTER, MASTER, MASTER)
        self.send(GRANTING.toXML() + b"\0", 1)
        self.assertTrue(self.successResultOf(one).permitted)
        self.assertNoResult(two)
        self.answer(GRANTING)
        self.assertTrue(self.successResultOf(two).permitted)

    def test_limit(self) -> None:
        """
        The number of cached files is limited; the oldest is removed.
        """
        self.patch(policychecker, "_MAX_FILES", 2)
        for host in ("a.example", "b.example", "c.example"):
            self.check(host=host)
            self.answer(GRANTING)
        self.check(host="c.example")
        self.check(host="b.example")
        self.assertEqual(len(self.asked), 3)
        self.check(host="a.example")
        self.assertEqual(len(self.asked), 4)

    def test_cancelled(self) -> None:
        """
        When all requests for a file are cancelled, it is not fetched or cached.
        """
        one, two = self.check(), self.check(port=9000)
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.assertFalse(self.network.attempts.made[0].over)
        two.cancel()
        self.failureResultOf(two, CancelledError)
        self.assertTrue(self.network.attempts.made[0].over)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])
        checking = self.check()
        self.assertPorts(MASTER, MASTER)
        self.answer(GRANTING)
        self.assertDecided(checking, True)

    def test_cancelledWhenForgotten(self) -> None:
        """
        Cancelling a request made before C{forget} does not affect a later one for the
        same file.
        """
        one = self.check()
        self.checker.forget()
        two = self.check()
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.check(port=9000)
        self.assertPorts(MASTER, MASTER)
        self.answer(GRANTING)
        self.assertTrue(self.successResultOf(two).permitted)


class PermittedEndpointTests(SynchronousTestCase):
    """
    L{PermittedEndpoint} requests permission before it connects.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.network.attempts.hold()
        self.endpoint = TCP4ClientEndpoint(self.network.reactor, "192.0.2.1", OWN)

    def test_permitted(self) -> None:
        """
        With the permission, the endpoint connects, not before.
        """
        permission, client = Deferred[None](), Peer()
        endpoint = PermittedEndpoint(self.endpoint, lambda: permission)
        connecting = endpoint.connect(Factory.forProtocol(lambda: client))
        self.network.flush()
        self.assertEqual(self.network.attempts.made, [])
        permission.callback(None)
        self.network.flush()
        self.network.attempts.held[0].answer(Factory.forProtocol(Peer))
        self.assertIs(self.successResultOf(connecting), client)

    def test_refused(self) -> None:
        """
        Without the permission, the endpoint does not connect.
        """
        endpoint = PermittedEndpoint(self.endpoint, lambda: fail(ValueError("no")))
        self.failureResultOf(endpoint.connect(Factory()), ValueError)
        self.network.flush()
        self.assertEqual(self.network.attempts.made, [])

    def test_cancelled(self) -> None:
        """
        Cancelling C{connect} cancels the permission or the connection attempt.
        """
        cancelled = list[object]()
        permission = Deferred[None](cancelled.append)
        connecting = PermittedEndpoint(self.endpoint, lambda: permission).connect(Factory())
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(cancelled, [permission])
        connecting = PermittedEndpoint(self.endpoint, lambda: succeed(None)).connect(Factory())
        self.network.flush()
        connecting.cancel()
        self.failureResultOf(connecting, error.ConnectingCancelledError)
        [attempt] = self.network.attempts.made
        self.assertTrue(attempt.over)
