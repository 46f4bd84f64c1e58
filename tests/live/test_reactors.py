"""
The commands with the reactor of this package, as processes.
"""

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from tests.live import live
from tests.live.peers import HOST, dial, portOf, stop, twistd


@live
async def test_default() -> None:
    """
    Without C{--reactor}, the commands use the C{openfl} reactor; C{--reactor} overrides
    this.
    """
    for options, reactor in (((), "OpenFLReactor"), (("--reactor=poll",), "PollReactor")):
        server = twistd(*options, "openfl-xml", f"--listen=tcp:0:interface={HOST}")
        await portOf(server)
        assert f".{reactor}." in await stop(server)


@live
async def test_openfl() -> None:
    """
    With C{--reactor=openfl} the server forwards short and long messages, answers policy
    requests, and shuts down gracefully.
    """
    where = f"--listen=tcp:0:interface={HOST}"
    server = twistd("--reactor=openfl", "openfl-xml", "--echo", where)
    port = await portOf(server)
    one = await dial(port)
    one.send(b"hello\0")
    await one.until(b"hello\0")
    long = b"x" * 1_000_000 + b"\0"
    one.send(long)
    await one.until(long)
    asking = await dial(port)
    asking.send(REQUEST)
    assert await asking.untilLost() == PolicyFile.forPort(port).toXML() + b"\0"
    printed = await stop(server)
    await one.untilLost()
    # The policy request may have been answered on accept.
    assert printed.count("received the policy file") == 1
    assert printed.count("closed by the server (0 open)") == 1
