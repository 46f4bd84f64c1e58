"""
Draws the pictures of the documentation. C{python draw.py} writes them anew into
this folder; a test sees that they are current.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from textwrap import wrap

import openfl_twisted
from openfl_twisted.net import _link
from openfl_twisted.transports.states import TRANSITIONS, Event, State

INK, PALE = "#2b2b33", "#6b6b76"
BLUE, BROWN, GREEN, VIOLET = "#1a6b8f", "#b4532a", "#4f7a28", "#7a4e9c"
OCHRE, TEAL = "#8a6a14", "#1f776b"
TINTS = {
    INK: "#ffffff",
    BLUE: "#e4f0f5",
    BROWN: "#f9ebe4",
    GREEN: "#ebf3e2",
    OCHRE: "#f7f1dd",
    TEAL: "#e2f3f0",
    VIOLET: "#f1eaf6",
}
FONT = "-apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 14,
    color: str = INK,
    style: str = "",
    anchor: str = "middle",
) -> str:
    """
    Return an SVG text element at a position.
    """
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{color}" text-anchor="{anchor}"'
        f"{' ' + style if style else ''}>{escape(words)}</text>"
    )


def box(
    x: float, y: float, width: float, height: float, lines: Iterable[str], color: str = INK
) -> list[str]:
    """
    Draw a box around the lines, the first of which is its name. A long name takes two lines.
    """
    drawn = [
        (
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="10" '
            f'fill="{TINTS[color]}" stroke="{color}" stroke-width="1.6"/>'
        )
    ]
    name, *rest = lines
    names = wrap(name, 32)
    top = y + height / 2 - (len(names) + len(rest) - 1) * 9 + 5
    for number, line in enumerate(names):
        drawn.append(
            text(x + width / 2, top + number * 18, line, size=15, style='font-weight="600"')
        )
    for number, line in enumerate(rest, len(names)):
        drawn.append(text(x + width / 2, top + number * 18, line, size=12.5, color=PALE))
    return drawn


def arrow(path: str, color: str = PALE) -> str:
    """
    Draw an arrow along a path of SVG.
    """
    return (
        f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6" '
        f'marker-end="url(#tip-{color[1:]})"/>'
    )


def picture(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """
    Put the parts on white, so that they can be read in a dark page too.
    """
    tips = "".join(
        f'<marker id="tip-{color[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto-start-reverse">'
        f'<path d="M0 0L10 5L0 10z" fill="{color}"/></marker>'
        for color in (PALE, BLUE, BROWN, GREEN, VIOLET)
    )
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
                f'width="{width:g}" height="{height:g}" font-family="{escape(FONT)}">'
            ),
            f"<title>{escape(title)}</title>",
            f"<defs>{tips}</defs>",
            f'<rect width="{width:g}" height="{height:g}" rx="12" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


# The life of a Socket

PLACES = {"unconnected": (40, 250), "connecting": (355, 60), "connected": (670, 250)}
"""
Where each state stands.
"""

WAYS = {
    ("unconnected", "connecting"): ("M120 248C130 150 240 92 353 88", (146, 130)),
    ("connecting", "unconnected"): ("M385 122C360 190 290 240 202 262", (396, 190)),
    ("connecting", "connecting"): ("M400 58C385 8 475 8 460 58", (508, 32)),
    ("connecting", "connected"): ("M507 88C620 92 730 150 740 248", (752, 112)),
    ("connected", "connecting"): ("M668 262C580 240 495 190 475 118", (612, 186)),
    ("unconnected", "connected"): ("M202 284L668 284", (430, 304)),
    ("connected", "unconnected"): ("M740 312C700 410 160 410 120 312", (430, 408)),
}
"""
The arrow of each transition, and the position of its text.
"""

EVENTS = {
    "connect": (BLUE, ""),
    "close": (BLUE, ""),
    "accepted": (BROWN, "event connect of the ServerSocket"),
    "established": (BROWN, "event connect"),
    "failed": (BROWN, "ioError or securityError"),
    "lost": (BROWN, "event close"),
}
"""
The color of each event, and the OpenFL event that the program receives.
"""


def life() -> str:
    """
    Draw the states of a Socket from its state machine.
    """
    machine = _link._machine.__automat_automaton__  # type: ignore[attr-defined] # noqa: SLF001
    found: dict[tuple[str, str], list[str]] = {}
    for before, happened, after, _ in machine.allTransitions():
        found.setdefault((before.name, after.name), []).append(happened)
    parts = []
    for ends, happenings in sorted(found.items()):
        way, (x, y) = WAYS[ends]
        parts.append(arrow(way))
        for number, happened in enumerate(sorted(happenings)):
            color, event = EVENTS[happened]
            words = happened + ("()" if color == BLUE else "")
            place = y + number * 32
            parts.append(text(x, place, words, color=color, style='font-weight="600"'))
            if event:
                parts.append(text(x, place + 15, event, size=12, style='font-style="italic"'))
    for state in sorted(each.name for each in machine.states()):
        x, y = PLACES[state]
        lines = [state, "connected is true" if state == "connected" else "connected is false"]
        parts += box(x, y, 160, 60, lines, GREEN if state == "connected" else INK)
    parts += [
        text(40, 462, "requested by the program", color=BLUE, anchor="start", size=13),
        text(40, 482, "caused by the network", color=BROWN, anchor="start", size=13),
        text(830, 482, "in italics: the dispatched event", size=13, anchor="end",
             style='font-style="italic"'),
    ]  # fmt: skip
    return picture(870, 500, "The states of a Socket", parts)


# The states of a connection

STATES = {
    State.OPEN: (40, 40),
    State.FULL: (400, 40),
    State.CLOSING: (40, 220),
    State.ABORTED: (400, 220),
    State.ENDING: (760, 40),
    State.LOST: (400, 400),
}
"""
The place of each state.
"""

STATE_WORDS = {
    State.OPEN: "sends and receives",
    State.FULL: "holds the send queue",
    State.CLOSING: "sends the queue",
    State.ABORTED: "drops the queue",
    State.ENDING: "delivers held data",
    State.LOST: "protocol notified",
}

STATE_ARROWS = {
    (State.OPEN, State.FULL): ("M222 58L398 58", (310, 50)),
    (State.FULL, State.OPEN): ("M398 84L222 84", (310, 104)),
    (State.OPEN, State.CLOSING): ("M110 102L110 218", (118, 165)),
    (State.OPEN, State.ABORTED): ("M200 102L400 230", (268, 132)),
    (State.FULL, State.CLOSING): ("M410 102C380 170 300 230 224 240", (300, 214)),
    (State.FULL, State.ABORTED): ("M490 102L490 218", (500, 165)),
    (State.CLOSING, State.ABORTED): ("M222 258L398 258", (310, 276)),
    (State.CLOSING, State.LOST): ("M130 282C150 380 280 420 398 428", (150, 380)),
    (State.ABORTED, State.LOST): ("M490 282L490 398", (498, 345)),
    (State.OPEN, State.LOST): ("M60 102C-20 300 60 520 420 462", (70, 492)),
    (State.FULL, State.LOST): ("M582 90C690 200 690 380 584 420", (676, 300)),
    (State.OPEN, State.ENDING): ("M150 38C250 0 650 0 800 38", (480, 26)),
    (State.FULL, State.ENDING): ("M582 68L758 68", (670, 60)),
    (State.ENDING, State.LOST): ("M850 102C840 330 700 440 584 440", (790, 400)),
}
"""
The arrow of each transition, and where its words are.
"""


def connection() -> str:
    """
    Draw the states of a connection from their table.
    """
    found: dict[tuple[State, State], list[Event]] = {}
    for (before, event), after in TRANSITIONS.items():
        found.setdefault((before, after), []).append(event)
    parts = []
    for ends, events in found.items():
        path, (x, y) = STATE_ARROWS[ends]
        parts.append(arrow(path))
        for number, event in enumerate(events):
            color = BLUE if event in (Event.CLOSE, Event.ABORT) else BROWN
            parts.append(text(x, y + number * 16, event.value, size=12, color=color))
    for state, (x, y) in STATES.items():
        color = GREEN if state is State.OPEN else INK
        parts += box(x, y, 182, 62, [state.value, STATE_WORDS[state]], color)
    parts += [
        text(640, 492, "caused by the protocol", color=BLUE, anchor="start", size=13),
        text(640, 512, "caused by the peer or the network", color=BROWN, anchor="start", size=13),
    ]
    return picture(980, 530, "The states of a connection", parts)


# Protocol detection on one port


def onePort() -> str:
    """
    Draw how the first bytes select the protocol.
    """
    rows = [
        ("<policy-file-request/>", "Flash Player: policy request", "answered and closed",
         BROWN, ()),
        ("16 03 … 01", "TLS client", "detection again inside TLS", VIOLET, ()),
        ("GET / … HTTP/1.", "HTTP request", "the request head decides", BLUE, (
            "WebSocket: accepted if the policy allows its origin",
            "anything else: refused with 4xx, and closed",
            "head too long or too slow: closed",
        )),
        ("anything else, or no data", "a plain client", "OpenFL native, AIR, a script", GREEN, (
            "after 0.5 s without data,",
            "the application can send first",
        )),
    ]  # fmt: skip
    parts = box(20, 168, 150, 64, ["a connection", "no data yet"])
    for number, (said, who, then, color, notes) in enumerate(rows):
        y = 24 + number * 94
        parts.append(arrow(f"M170 200C212 200 202 {y + 32} 244 {y + 32}", color))
        parts += box(246, y, 226, 64, [said], color)
        parts.append(arrow(f"M472 {y + 32}L512 {y + 32}", color))
        parts += box(514, y, 256, 64, [who, then], color)
        top = y + 36 - (len(notes) - 1) * 10
        for row, note in enumerate(notes):
            parts.append(text(786, top + row * 20, note, size=12.5, color=PALE, anchor="start"))
    return picture(1120, 394, "Protocol detection: the first bytes select the protocol", parts)


# The architecture

LAYERS: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("commands", BROWN, [
        ("twisted/plugins", "names only"),
        ("services", "twistd commands"),
        ("telnetclient", "openfl-telnet"),
        ("load", "openfl-load"),
        ("sessioncommand", "openfl-session"),
    ]),
    ("add-ons", OCHRE, [
        ("dashboard", "page, metrics, health"),
        ("brokers", "Redis, NATS, presence"),
        ("workers", "supervisor, shared ports"),
        ("testing pytestplugin", "in-memory network"),
    ]),
    ("APIs", BLUE, [
        ("net events utils errors security system", "OpenFL's names"),
        ("rooms", "lobby, members"),
        ("dispatch", "handlers"),
        ("endpoints running", "openfl:, run()"),
        ("sessions", "record and replay"),
    ]),
    ("protocols", TEAL, [("protocols", "one Protocol and its Factory in each module")]),
    ("plumbing", GREEN, [
        ("transports", "states of a connection"),
        ("reactors", "openfl reactor"),
        ("tls", "verification"),
        (
            (
                "addresses clocks commandline coroutines hostnames lazyimports logs "
                "overrides similar types"
            ),
            "shared by all",
        ),
    ]),
    ("bytes", VIOLET, [("wire", "parsers and serializers: no Twisted, no clock, no I/O")]),
]  # fmt: skip
"""
From the top down: the name of a layer, and its packages.
"""


def _present(names: str) -> str:
    """
    Leave out planned packages.
    """
    package = Path(openfl_twisted.__file__).parent
    found = {each.stem for each in package.iterdir()}
    return " ".join(name for name in names.split() if "/" in name or name in found)


def architecture() -> str:
    """
    Draw the layers of the package. Imports only go down.
    """
    parts = []
    for number, (layer, color, packages) in enumerate(LAYERS):
        y = 24 + number * 92
        parts.append(text(900, y + 43, layer, size=13, color=color, anchor="start"))
        drawn = [(_present(names), words) for names, words in packages if _present(names)]
        shares = [
            max(len(max(wrap(name, 32), key=len)) * 8.4, len(words) * 6.8) + 30
            for name, words in drawn
        ]
        stretch = (820 - 12 * (len(drawn) - 1)) / sum(shares)
        x = 60.0
        for (name, words), share in zip(drawn, shares, strict=True):
            parts += box(x, y, share * stretch, 72, [name, words], color)
            x += share * stretch + 12
    end = 24 + len(LAYERS) * 92 - 20
    parts.append(arrow(f"M30 24L30 {end}", PALE))
    middle = (24 + end) / 2
    parts.append(text(24, middle, "imports only go down", size=13, color=PALE,
                      style=f'transform="rotate(-90 18 {middle:g})"'))  # fmt: skip
    return picture(1000, end + 24, "The architecture of openfl_twisted", parts)


PICTURES = {
    "life.svg": life,
    "connection.svg": connection,
    "oneport.svg": onePort,
    "architecture.svg": architecture,
}


if __name__ == "__main__":
    for file, draw in PICTURES.items():
        Path(__file__).with_name(file).write_text(draw(), encoding="utf-8")
