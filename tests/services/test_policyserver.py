"""
Tests for C{twistd openfl-policy}, and for the problems of a policy file in the log.
"""

import io
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from twisted.logger import capturedLogs

from openfl_twisted.services import policyserver, xmlserver
from openfl_twisted.services.policyserver import portNumber
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import linesOf
from tests.services.optionscase import OptionsTestCase
from tests.services.servingcase import ServingTestCase

RULES = (
    AccessRule("*.a.example", "8080,80"),
    AccessRule("b.example", "8080", secure=True),
    AccessRule("c.example", None),
)


class CheckTests(OptionsTestCase):
    """
    C{--check} analyzes a policy file.
    """

    def check(self, content: bytes | PolicyFile, *arguments: str) -> tuple[int, list[str]]:
        """
        Check a policy file.

        @return: the exit status and the printed lines.
        """
        data = content.toXML() if isinstance(content, PolicyFile) else content
        return self.checkPath(self.path(data), *arguments)

    def checkPath(self, path: str, *arguments: str) -> tuple[int, list[str]]:
        """
        Check the policy file of a path, which can be missing.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        error = self.assertRaises(
            SystemExit, self.parse, policyserver, f"--check={path}", *arguments
        )
        status: int = error.code
        return status, printed.getvalue().splitlines()

    def assertLines(self, lines: Iterable[str], *expected: str) -> None:
        self.assertEqual(list(lines), list(expected))

    def test_permitted(self) -> None:
        """
        For a permitted connection the status is 0, and each rule has a reason.
        """
        policy = PolicyFile(RULES[:1])
        status, lines = self.check(policy, "--for=www.a.example", "--port=80")
        self.assertEqual(status, 0)
        self.assertLines(
            lines,
            "rule 1 (domain '*.a.example' to-ports '8080,80') grants access",
            "permitted: content loaded from 'www.a.example' over http connects to port 80; "
            "this file is served on port 843",
        )

    def test_refused(self) -> None:
        """
        For a denied connection the status is 1, and the limits of the file are printed.
        """
        status, lines = self.check(
            PolicyFile(RULES), "--for=www.a.example", "--port=80", "--served-from=8080"
        )
        self.assertEqual(status, 1)
        self.assertLines(
            lines,
            "rule 1 (domain '*.a.example' to-ports '8080,80') does not grant access: "
            "a file from port 8080 cannot grant ports below 1024",
            "rule 2 (domain 'b.example' to-ports '8080' secure) does not grant access: "
            "its domain does not match 'www.a.example'",
            "rule 3 (domain 'c.example') does not grant access: it has no to-ports",
            "note: rule 1 grants ports below 1024, but a file from port 8080 cannot",
            'note: rule 2 has secure="true": on a port without TLS, this excludes content loaded '
            "over HTTP and encrypts nothing",
            "note: rule 3 grants nothing: it has no to-ports",
            "refused: content loaded from 'www.a.example' over http connects to port 80; "
            "this file is served on port 8080",
        )

    def test_origins(self) -> None:
        """
        The origin is a domain, an address or a URL. It is secure with an C{https} URL
        or with C{--secure}.
        """
        for arguments, expected in [
            (["--for=B.example"], "'b.example' over http "),
            (["--for=b.example", "--secure"], "'b.example' over https "),
            (["--for=https://b.example/game.swf"], "'b.example' over https "),
            (["--for=http://b.example:81/"], "'b.example' over http "),
            (["--for=::1"], "'[::1]' over http "),
            (["--for=[::1]"], "'[::1]' over http "),
        ]:
            status, lines = self.check(PolicyFile(RULES), "--port=8080", *arguments)
            self.assertIn(expected, lines[-1])
            self.assertEqual(status, 0 if "b.example' over https" in expected else 1)

    def test_fileAlone(self) -> None:
        """
        Without C{--for}, the rules and limits of the file are printed, and whether it
        can grant anything.
        """
        status, lines = self.check(PolicyFile((RULES[0],)))
        self.assertEqual(status, 0)
        self.assertLines(
            lines,
            "rule 1: domain '*.a.example' to-ports '8080,80'",
            "this file can grant access",
        )
        for policy in [
            PolicyFile(),
            PolicyFile((RULES[2],)),
            PolicyFile((RULES[0],), "none"),
        ]:
            status, lines = self.check(policy)
            self.assertEqual((status, lines[-1]), (1, "this file grants nothing"))
        self.assertEqual(self.check(PolicyFile((RULES[0],), "none"), "--served-from=8080")[0], 0)

    def test_noFile(self) -> None:
        """
        An invalid or missing file is an error of one line.
        """
        for content in (b"", b"<a/>", b"<cross-domain-policy>", b"\xff"):
            status, lines = self.check(content, "--for=a.example", "--port=80")
            self.assertEqual((status, len(lines)), (1, 1))
            self.assertIn("not a policy file: ", lines[0])
        status, lines = self.checkPath("/no/such/file")
        self.assertEqual((status, lines), (1, ["/no/such/file: No such file or directory"]))

    def test_usage(self) -> None:
        """
        An incomplete or invalid question is a usage error.
        """
        path = self.path(PolicyFile(RULES).toXML())
        check = f"--check={path}"
        for arguments, words in [
            ([check, "--for=a.example"], "--for and --port must be used together"),
            ([check, "--port=80"], "--for and --port must be used together"),
            ([check, "--secure"], "--secure requires --for"),
            ([check, "--for=", "--port=80"], "--for="),
            ([check, "--for=a b", "--port=80"], "--for=a b: "),
            ([check, "--for=file:///a", "--port=80"], "--for=file:///a: "),
            (["--allow=*:80", "--for=a.example"], "--for requires --check"),
            (["--allow=*:80", "--port=80"], "--port requires --check"),
            (["--allow=*:80", "--served-from=80"], "--served-from requires --check"),
            (["--allow=*:80", "--secure"], "--secure requires --check"),
        ]:
            self.assertUsage(policyserver, arguments, words)

    def test_ports(self) -> None:
        """
        A port is a number from 1 to 65535.
        """
        self.assertEqual((portNumber("1"), portNumber("65535")), (1, 65535))
        for text in ("", "0", "65536", "-1", "x", "\u0663", "9" * 5000):
            self.assertRaises(ValueError, portNumber, text)


class StartTests(ServingTestCase):
    """
    At the start, the problems of a policy file are logged.
    """

    def start(self, module: object, policy: bytes) -> list[str]:
        """
        Start a server with a policy file, on port 8080.

        @return: the log lines about the file.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "policy.xml"
        path.write_bytes(policy)
        service = self.service(module, f"--policy={path}")
        with capturedLogs() as logs:
            service.privilegedStartService()
            service.startService()
        self.addCleanup(service.stopService)
        begin = "policy file on 0.0.0.0:8080: "
        lines = [line for line in linesOf(logs) if "policy file" in line]
        self.assertTrue(all(line.startswith(begin) for line in lines), lines)
        self.assertTrue(all(event["log_level"].name == "warn" for event in logs[1:]))
        return [line.removeprefix(begin) for line in lines]

    def test_everything(self) -> None:
        """
        Each problem is a line, on a policy port and on a data port.
        """
        policy = (
            b"<cross-domain-policy>"
            b'<site-control permitted-cross-domain-policies="master-only"/>'
            b'<allow-access-from domain="*" to-ports="80,8080"/>'
            b'<allow-access-from domain="*"/>'
            b'<allow-access-from domain="192.0.2.*" to-ports="8080"/>'
            b'<allow-access-from domain="*.192.0.2.1" to-ports="8080"/>'
            b'<allow-access-from domain="a.example" to-ports="8080" secure="true"/>'
            b'<a><allow-access-from domain="b.example" to-ports="9000"/></a>'
            b"</cross-domain-policy>"
        )
        for module in (policyserver, xmlserver):
            found = self.start(module, policy)
            self.assertEqual(
                [" ".join(line.split(" ")[:4]).rstrip(":") for line in found],
                [
                    "rule 1 grants ports",
                    "rule 2 grants nothing",
                    "rule 3 grants nothing",
                    "rule 4 grants nothing",
                    'rule 5 has secure="true"',
                    "rule 5 has no",
                    "1 <allow-access-from> elements are",
                    "its site-control has an",
                ],
            )

    def test_otherPort(self) -> None:
        """
        A policy file that does not grant its own port is reported on a data port, but
        not on a policy port.
        """
        policy = PolicyFile.forPort(9000).toXML()
        self.assertEqual(self.start(policyserver, policy), [])
        self.assertEqual(
            self.start(xmlserver, policy), ["no rule grants port 8080, which serves the file"]
        )

    def test_nothing(self) -> None:
        """
        A correct file is not logged.
        """
        for module in (policyserver, xmlserver):
            self.assertEqual(self.start(module, PolicyFile.forPort(8080).toXML()), [])
