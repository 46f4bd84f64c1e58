"""
The commands listed by C{twistd} and C{twist}. The plugins contain only strings, so
listing them imports nothing.
"""

from twisted.application.service import ServiceMaker

xml = ServiceMaker(
    "OpenFL XMLSocket server",
    "openfl_twisted.services.xmlserver",
    "A server for OpenFL, AIR and Flash programs that use XMLSocket.",
    "openfl-xml",
)
echo = ServiceMaker(
    "OpenFL echo server",
    "openfl_twisted.services.echoserver",
    "The echo servers of OpenFL's guide to sockets.",
    "openfl-echo",
)
policy = ServiceMaker(
    "OpenFL policy file server",
    "openfl_twisted.services.policyserver",
    "A server for the policy file that Flash programs ask for.",
    "openfl-policy",
)
bridge = ServiceMaker(
    "OpenFL bridge",
    "openfl_twisted.services.bridge",
    "A bridge that connects browsers to a plain TCP server.",
    "openfl-bridge",
)
