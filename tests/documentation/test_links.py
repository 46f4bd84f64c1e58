"""
The check for broken links in the built documentation.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from docs.checklinks import brokenLinks

PAGES = {
    "index.html": (
        '<a href="api/one.html#part">1</a> <a href="api/">2</a> <a href="#top">3</a> '
        '<a href="api/one.html#absent">4</a> <img src="absent.png"/> <p id="top">5</p> '
        '<a href="mailto:someone">6</a> <a href="search.html?q=x">7</a> <a href="#it%200">8</a>'
    ),
    "search.html": '&lt;a href="text"&gt;',
    "api/one.html": (
        '<a href="../index.html#top">1</a> <a name="part"></a> <a href="absent.html">2</a>'
    ),
}


class LinkTests(SynchronousTestCase):
    """
    L{brokenLinks}.
    """

    def test_broken(self) -> None:
        """
        Links to missing files and sections are broken. Other addresses are not checked.
        """
        folder = Path(self.mktemp())
        (folder / "api").mkdir(parents=True)
        for name, text in PAGES.items():
            (folder / name).write_text(text)
        self.assertEqual(
            brokenLinks(folder.resolve()),
            [
                "api/one.html: absent.html",
                "index.html: #it%200",
                "index.html: absent.png",
                "index.html: api/one.html#absent",
            ],
        )
