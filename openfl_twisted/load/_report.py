"""
The progress line and the report of a load test.
"""

from typing import Any

from openfl_twisted.load._histogram import Histogram
from openfl_twisted.load._loadtest import LoadTest, Reasons
from openfl_twisted.wire.text import escape

PERCENTILES = (50, 95, 99)
"""
The percentiles of the answer times in a report.
"""

_WIDTH = 20


def milliseconds(seconds: float | None) -> str:
    """
    Format a time: in milliseconds with three significant digits, or C{-}.

    @param seconds: the time; C{None} for no time.
    """
    if seconds is None:
        return "-"
    number = seconds * 1000
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:,.{digits}f} ms"


def describeTimes(times: Histogram) -> str:
    """
    Format the percentiles and the maximum of the answer times.
    """
    parts = [f"p{each} {milliseconds(times.percentile(each))}" for each in PERCENTILES]
    longest = times.longest if times.count else None
    return ", ".join([*parts, f"max {milliseconds(longest)}"])


def describeProgress(test: LoadTest, rate: float) -> str:
    """
    Return the progress line.

    @param rate: the number of messages sent and received in the last second.
    """
    phase = test.phase
    open_ = len(test.connections)
    parts = [f"{phase.name} {test.now() - phase.since:.0f} s", f"{open_:,} bots"]
    if test.statistics.messagesIn or test.statistics.messagesOut:
        parts += [f"{rate:,.0f} messages/s", describeTimes(test.statistics.answers)]
    for count, word in (
        (test.failed.total, "not connected"),
        (test.closed.total, "closed early"),
        (test.statistics.skipped, "skipped"),
    ):
        if count:
            parts.append(f"{count:,} {word}")
    return ", ".join(parts)


def toJSON(test: LoadTest, target: str) -> dict[str, Any]:
    """
    Return the report as a dictionary for JSON. Times are in seconds.

    @param target: the target of the test.
    """
    statistics = test.statistics
    times = statistics.answers
    return {
        "target": target,
        "bots": {
            "planned": test.plan.clients,
            "connected": test.connected,
            "failed": test.failed.total,
            "closed": test.closed.total,
        },
        "rate": test.plan.rate,
        "seconds": test.elapsed,
        "messages": {"sent": statistics.messagesOut, "received": statistics.messagesIn},
        "bytes": {"sent": statistics.bytesOut, "received": statistics.bytesIn},
        "requests": statistics.requests,
        "answers": {
            "count": times.count,
            "mean": times.total / times.count if times.count else None,
            **{f"p{each}": times.percentile(each) for each in PERCENTILES},
            "max": times.longest if times.count else None,
        },
        "unanswered": test.unanswered,
        "skipped": statistics.skipped,
        "late": {"dropped": test.late, "max": test.lag},
        "failed": test.failed.counts,
        "closed": test.closed.counts,
    }


def toText(test: LoadTest, target: str) -> str:
    """
    Return the report as text.

    @param target: the target of the test.
    """
    statistics, seconds, closed = test.statistics, test.elapsed, test.closed.total

    def rated(count: int, unit: str = "") -> str:
        rate = f" ({count / seconds:,.0f}{unit}/s)" if seconds else ""
        return f"{count:,}{unit}{rate}"

    rows = [
        ("target", target),
        (
            "bots",
            f"{test.connected:,} connected, {test.failed.total:,} failed, {closed:,} closed early",
        ),
        ("duration", f"{seconds:.1f} s"),
        ("messages sent", rated(statistics.messagesOut)),
        ("messages received", rated(statistics.messagesIn)),
        ("bytes sent", rated(statistics.bytesOut)),
        ("bytes received", rated(statistics.bytesIn)),
        ("requests", f"{statistics.requests:,}, {test.unanswered:,} unanswered"),
        ("answer times", describeTimes(statistics.answers)),
        ("skipped requests", f"{statistics.skipped:,}"),
        ("schedule", f"late by up to {milliseconds(test.lag)}, {test.late:,} requests dropped"),
    ]
    lines = [f"{name:{_WIDTH}}{value}" for name, value in rows]
    if test.unanswered and not statistics.answers.count:
        lines.append(
            "no answer was counted: call countAnswer in messageReceived, or test a server that"
            " echoes"
        )
    lines += _describeReasons("not connected", test.failed)
    lines += _describeReasons("closed early", test.closed)
    return "\n".join(lines)


def _describeReasons(title: str, reasons: Reasons) -> list[str]:
    if not reasons.counts:
        return []
    most = sorted(reasons.counts.items(), key=lambda each: -each[1])
    return [f"{title}:", *(f"{count:8,}  {escape(reason)}" for reason, count in most)]
