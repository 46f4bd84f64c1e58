"""
The metrics and dashboards of two servers connected by Redis, also while Redis is down.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live import live
from tests.live.peers import Buffered, pause, stop
from tests.support.brokers import REDIS, broker
from tests.support.ports import freePort
from tests.support.rooms import join, node
from tests.support.watched import TOKEN, ask, siteOf

pytestmark = pytest.mark.slow

SITES = ("--metrics=tcp:0", "--dashboard=tcp:0", f"--dashboard-token={TOKEN}")


async def metricsOf(port: int) -> dict[str, float]:
    """
    Return the metrics of a server that have no labels.
    """
    answer = await (await ask(port, "/metrics")).untilLost()
    families = text_string_to_metric_families(answer.partition(b"\r\n\r\n")[2].decode())
    return {each.name: each.value for family in families for each in family.samples}


async def shown(events: Buffered, wanted: Callable[[Any], bool]) -> Any:
    """
    Wait until the dashboard sends a matching state.

    @param events: the event stream of the dashboard.
    @param wanted: returns whether the state of the broker matches.
    @return: the state of the broker.
    """
    while True:
        *_, last = [b"null", *re.findall(rb"event: state\ndata: (.*)\n\n", events.received)]
        state = json.loads(last)
        if state is not None and wanted(state["broker"]):
            return state["broker"]
        await pause(0.05)


@live
async def test_gap(tmp_path: Path) -> None:
    """
    While Redis is down, messages within a server are delivered, and more are published
    than are queued. Afterwards each message was received on the other server or is
    counted as lost: in the room, in the metrics and on the dashboard. The dashboard
    also shows the outage and the dropped messages.
    """
    port = freePort()
    command = REDIS.command(port)
    count, size = 40, 64 * 1024
    async with broker(REDIS, tmp_path, command):
        one, here = await node(REDIS, port, tmp_path, *SITES)
        two, there = await node(REDIS, port, tmp_path, *SITES)
        oneMetrics, twoMetrics = [await siteOf(each, "metrics") for each in (one, two)]
        streams = [await ask(await siteOf(each, "dashboard"), "/state") for each in (one, two)]
        ann, ben, cleo = await join(here, "Ann"), await join(there, "Ben"), await join(here, "Cleo")
        while b">?<" not in ben.received:
            ann.send(b"<say>?</say>\0")
            await pause(0.05)
        for stream in streams:
            state = await shown(stream, lambda state: state["state"] == "up")
            assert (state["missed"], state["dropped"], state["reconnects"]) == (0, 0, 0)
        assert (await metricsOf(twoMetrics))["openfl_broker_up"] == 1
    for stream in streams:
        await shown(stream, lambda state: state["state"] == "down" and state["problem"])
    metrics = await metricsOf(twoMetrics)
    assert (metrics["openfl_broker_up"], metrics["openfl_members"]) == (0, 1)
    for number in range(count):
        ann.send(b"<say>%d:%b</say>\0" % (number, b"x" * size))
    # No messages are lost within a server.
    received = await cleo.until(b">%d:%b</say>\0" % (count - 1, b"x" * size))
    assert len(re.findall(rb">\d+:x", received)) == count
    state = await shown(streams[0], lambda state: state["dropped"])
    dropped = state["dropped"]
    assert state["waiting"] + dropped == count
    one.printed = two.printed = b""
    async with broker(REDIS, tmp_path, command):
        for server in (one, two):
            await server.until(b"connected to the broker")
        ann.send(b"<say>again</say>\0")
        received = await ben.until(b">again</say>\0")
        missed = sum(map(int, re.findall(rb'<gap missed="(\d+)" />', received)))
        assert missed >= dropped
        assert missed + len(re.findall(rb">\d+:x", received)) == count
        state = await shown(streams[1], lambda state: state["missed"])
        assert (state["missed"], state["state"], state["reconnects"]) == (missed, "up", 1)
        assert state["gaps"] == received.count(b"<gap ")
        metrics = await metricsOf(twoMetrics)
        assert metrics["openfl_broker_missed_total"] == missed
        assert metrics["openfl_broker_up"] == 1
        metrics = await metricsOf(oneMetrics)
        assert metrics["openfl_broker_dropped_total"] == dropped
        assert metrics["openfl_broker_missed_total"] == 0
        for server in (one, two):
            await stop(server)
    for client in (ann, ben, cleo, *streams):
        await client.untilLost()
