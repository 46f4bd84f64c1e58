"""
Tests for C{twistd} in the foreground.
"""

import io
import json
import sys
from typing import Any, cast

from twisted.logger import Logger, LogPublisher, globalLogBeginner
from twisted.python.usage import Options
from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.services.foreground import (
    avoidPidFile,
    dropCacheErrors,
    logAsJSON,
    makeObserver,
)


class _Twistd(Options):
    optFlags = [["nodaemon", "n", "Do not daemonize."]]
    optParameters = [["pidfile", None, "twistd.pid", "The pid file."]]


class _Twist(Options):
    optFlags = [["nodaemon", "n", "Do not daemonize."]]


class PidFileTests(SynchronousTestCase):
    """
    Tests for L{avoidPidFile}.
    """

    def parse(self, *arguments: str) -> str:
        """
        Return the name of the pid file.
        """
        twistd = _Twistd()
        twistd.parseOptions(list(arguments))
        avoidPidFile(twistd)
        return cast("str", twistd["pidfile"])

    def test_foreground(self) -> None:
        """
        In the foreground, no pid file is written by default.
        """
        self.assertEqual(self.parse("-n"), "")

    def test_given(self) -> None:
        """
        A name on the command line is used, even that of the default.
        """
        given = b"twistd.pid".decode()
        for arguments in (("-n", "--pidfile", given), ("-n", f"--pidfile={given}")):
            self.assertEqual(self.parse(*arguments), "twistd.pid")

    def test_daemon(self) -> None:
        """
        A daemon writes a pid file.
        """
        self.assertEqual(self.parse(), "twistd.pid")

    def test_otherPrograms(self) -> None:
        """
        Options without a pid file are not changed.
        """
        twist = _Twist()
        twist.parseOptions(["-n"])
        avoidPidFile(twist)
        self.assertNotIn("pidfile", twist)


class CacheTests(SynchronousTestCase):
    """
    Tests for L{dropCacheErrors}.
    """

    def test_dropped(self) -> None:
        """
        Errors about the plugin cache are not logged when logging begins; other events are.
        """
        events: Any = globalLogBeginner._initialBuffer._buffer
        before = list(events)
        self.addCleanup(lambda: (events.clear(), events.extend(before)))
        # The buffer drops its oldest events when it is full.
        events.clear()
        other = {"format": "starting"}
        events.append({"format": "Unable to write to plugin cache %(path)s: error number 30"})
        events.append(other)
        dropCacheErrors()
        self.assertEqual(list(events), [other])

    def test_otherVersions(self) -> None:
        """
        A version of Twisted that stores the events elsewhere is supported.
        """
        self.patch(globalLogBeginner, "_initialBuffer", None)
        dropCacheErrors()


class JSONTests(SynchronousTestCase):
    """
    Tests for L{logAsJSON}.
    """

    def parse(self, *arguments: str) -> Any:
        """
        Return the options of C{twistd}, as the options of a command see them.
        """
        scripts: Any = twistd
        options = scripts.ServerOptions()
        options["nodaemon"] = True
        for argument in arguments:
            name, _, value = argument.partition("=")
            options[name] = value
        return options

    def test_twistd(self) -> None:
        """
        C{twistd} writes JSON to the output that its options select.
        """
        options = self.parse()
        logAsJSON(options)
        # This method imports the observer.
        options.postOptions()
        self.assertIs(options["logger"], makeObserver)
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        Logger(observer=LogPublisher(makeObserver())).info("hello")
        self.assertEqual(json.loads(output.getvalue())["text"], "hello")

    def test_file(self) -> None:
        """
        The log can be a file.
        """
        path = self.mktemp()
        logAsJSON(self.parse(f"logfile={path}"))
        observer: Any = makeObserver()
        self.addCleanup(observer._outFile.close)
        Logger(observer=LogPublisher(observer)).info("hello")
        with open(path) as file:
            self.assertEqual(json.loads(file.read())["text"], "hello")

    def test_conflicts(self) -> None:
        """
        Another log of C{twistd} cannot be JSON.
        """
        for name in ("logger", "syslog"):
            with self.assertRaisesRegex(ValueError, f"twistd --{name}"):
                logAsJSON(self.parse(f"{name}=x"))

    def test_twist(self) -> None:
        """
        C{twist} writes JSON to its log file.
        """
        options = _Twist()
        logAsJSON(options)
        output = io.StringIO()
        observer: Any = cast("Any", options)["fileLogObserverFactory"](output)
        Logger(observer=LogPublisher(observer)).info("hello")
        self.assertEqual(json.loads(output.getvalue())["text"], "hello")
