"""
Tests for L{openfl_twisted.wire.policy.address}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.address import Content, policyAddress


class ContentTests(SynchronousTestCase):
    """
    L{Content.fromURL} parses the URL of a program.
    """

    def test_urls(self) -> None:
        """
        The content has the host of the URL (an IPv6 address in brackets), and
        whether it is https.
        """
        for url, expected in [
            ("http://games.example/", Content("games.example")),
            ("HTTP://Games.Example/a.swf?b", Content("games.example")),
            ("https://games.example:8443", Content("games.example", True)),
            ("http://user@games.example/", Content("games.example")),
            ("http://192.0.2.1/", Content("192.0.2.1")),
            ("https://[::1]:443/a", Content("[::1]", True)),
        ]:
            self.assertEqual(Content.fromURL(url), expected)

    def test_wrong(self) -> None:
        """
        Any other text than a URL of http or https with a host is refused.
        """
        for url in [
            "", "games.example", "/a.swf", "http://", "http:///a.swf", "http://[::1/",
            "http://a:b/", "http://a:0/", "http://a:70000/", "http://a b/", "http://a\nb/",
            "file:///a.swf", "ftp://a.example/", "xmlsocket://a.example:1", "http://\u202ea/",
            "http://a\u2100b/",
        ]:  # fmt: skip
            error = self.assertRaises(ValueError, Content.fromURL, url)
            self.assertRegex(str(error), "is not (a|an http or https) URL")

    @given(st.text(st.characters(codec="utf-8")).map(lambda rest: f"http://{rest}"))
    def test_anyText(self, url: str) -> None:
        """
        Any text has a host, or is refused with a printable reason.
        """
        try:
            content = Content.fromURL(url)
        except ValueError as error:
            self.assertTrue(str(error).isprintable())
        else:
            self.assertTrue(content.domain)


class PolicyAddressTests(SynchronousTestCase):
    """
    L{policyAddress} parses the URL of a policy file.
    """

    def test_addresses(self) -> None:
        """
        The result is a host and a port.
        """
        self.assertEqual(policyAddress("xmlsocket://a.example:8430"), ("a.example", 8430))
        self.assertEqual(policyAddress("xmlsocket://[::1]:843/"), ("::1", 843))

    def test_noEffect(self) -> None:
        """
        URLs of other schemes, and those without a port or host, are refused.
        """
        for url in [
            "http://a.example/crossdomain.xml", "https://a.example:843/", "ftp://a.example:21/a",
            "xmlsocket://a.example",
        ]:  # fmt: skip
            error = self.assertRaises(ValueError, policyAddress, url)
            self.assertIn("has no effect on sockets: use xmlsocket://HOST:PORT", str(error))
        self.assertRaises(ValueError, policyAddress, "xmlsocket://:843")
