"""
The limits of the package and their rows in C{docs/topics/limits.rst}, for
L{tests.documentation.test_limits}.
"""

from typing import NamedTuple

COUNT, SIZE, TIME, RATE, DAYS = "", "bytes", "s", "/s", "days"


class Row(NamedTuple):
    """
    A row of the page about limits.

    @ivar name: the beginning of the row.
    @ivar unit: the unit of the value.
    """

    name: str
    unit: str = COUNT


LIMITS = {
    # Messages
    "wire.messages MAX_LENGTH": Row("message", SIZE),
    "wire.websocket.frames MAX_FRAME": Row("WebSocket frame held until complete"),
    "wire.lines MAX_LINE_LENGTH": Row("line of the echo servers", SIZE),
    "transports.receivebuffer MAX_WORK": Row("messages handled before"),
    "wire.websocket.frames _MAX_OTHERS": Row("control frames and fragments"),
    "transports.fanout MAX_FAN_OUT": Row("bytes of one message sent to many", SIZE),
    "wire.websocket.messages MIN_COMPRESSED": Row("WebSocket message that is compressed"),
    "wire.websocket.messages MAX_COMPRESSED": Row("WebSocket message that is compressed"),
    "wire.websocket.messages MAX_CACHED": Row("WebSocket frames cached", SIZE),
    "wire.text MAX_BROKEN": Row("invalid UTF-8 sequences"),
    # Connections
    "transports.guard MAX_CONNECTIONS": Row("connections"),
    "protocols.oneport MAX_UNDETECTED": Row("undetected clients"),
    "protocols.oneport GREETING_DELAY": Row("time without data before a server", TIME),
    "transports.detectiontimer DETECTION_TIMEOUT": Row("protocol detection", TIME),
    "wire.httprequest MAX_TARGET": Row("bytes held for protocol detection", SIZE),
    "protocols.proxyprotocol HEADER_TIMEOUT": Row("PROXY header", TIME),
    "protocols.proxyprotocol MAX_PENDING": Row("connections that have not sent"),
    "wire.proxyheader MAX_HEADER": Row("PROXY header", SIZE),
    "transports.wrapper CLOSE_TIMEOUT": Row("closing a connection", TIME),
    "transports.websocket _LINGER": Row("closing a connection", TIME),
    "transports.receivebuffer LATE_END_TIMEOUT": Row("last data for a paused protocol", TIME),
    "transports.acceptanswer MAX_FIRST_BYTES": Row("policy request answered on accept", SIZE),
    "transports.acceptanswer MAX_ANSWER": Row("policy file sent on accept", SIZE),
    # Buffers
    "transports.buffered MAX_QUEUE": Row("send queue of a client", SIZE),
    "protocols.binarysocket MAX_UNREAD": Row("unread bytes of a binary socket", SIZE),
    "net.link MAX_PENDING": Row("unsent bytes of a client socket", SIZE),
    "net.xmlsocket MAX_WAITING": Row("unread messages of messages()"),
    # WebSocket
    "wire.httprequest MAX_HEAD": Row("HTTP request head", SIZE),
    "protocols.websocket OPEN_TIMEOUT": Row("HTTP request head", TIME),
    "protocols.websocket PING_INTERVAL": Row("time without data before a ping", TIME),
    "protocols.websocket PONG_TIMEOUT": Row("answer to a ping", TIME),
    "protocols.websocket CLOSE_TIMEOUT": Row("WebSocket closing handshake", TIME),
    # Rooms
    "rooms.room RoomLimits.maxRooms": Row("rooms"),
    "rooms.room RoomLimits.maxMembers": Row("members of a room"),
    "rooms.room RoomLimits.maxName": Row("room or member name"),
    "rooms.room RoomLimits.maxData": Row("attributes of a room or member"),
    "rooms.room RoomLimits.maxKept": Row("disconnected members"),
    "rooms.room RoomLimits.maxMissed": Row("messages kept for a disconnected member"),
    "rooms.room RoomLimits.maxMissedBytes": Row("messages kept for a disconnected member", SIZE),
    "wire.strictxml XMLLimits.markup": Row("tags of a room message"),
    "wire.strictxml XMLLimits.attributes": Row("attributes of a room message"),
    "wire.strictxml XMLLimits.qualified": Row("attributes of a room message"),
    "wire.strictxml XMLLimits.namespace": Row("namespace in XML", SIZE),
    "wire.strictxml MAX_TOKEN": Row("tag or comment in XML", SIZE),
    # Brokers
    "brokers.outbox BrokerLimits.maxBytes": Row("messages queued for the broker", SIZE),
    "brokers.outbox BrokerLimits.maxMessages": Row("messages queued for the broker"),
    "brokers.outbox BrokerLimits.maxAge": Row("messages queued for the broker", TIME),
    "brokers.outbox BrokerLimits.connectTimeout": Row("connecting to the broker", TIME),
    "brokers.outbox BrokerLimits.loginTimeout": Row("login at the broker", TIME),
    "brokers.outbox BrokerLimits.pingInterval": Row("time without data from the broker", TIME),
    "brokers.outbox BrokerLimits.pingTimeout": Row("answer of the broker", TIME),
    "brokers.outbox BrokerLimits.gatherTimeout": Row("waiting for other nodes", TIME),
    "brokers.outbox BrokerLimits.maxRetryDelay": Row("delay between connection attempts", TIME),
    "rooms.pubsub MAX_TOPIC": Row("topic", SIZE),
    "wire.envelope MAX_TOPICS": Row("topics with sequence numbers"),
    "wire.envelope MAX_NODES": Row("nodes"),
    "brokers.redispresence MAX_NODES": Row("nodes"),
    "brokers.redispresence LIFETIME": Row("presence of a node", TIME),
    "brokers.redispresence MAX_PENDING": Row("unanswered Redis commands"),
    "brokers.redisconnection MAX_REPLY": Row("Redis reply", SIZE),
    "wire.nats MAX_PAYLOAD": Row("NATS message", SIZE),
    "wire.lineblocks MAX_LINE": Row("line of a broker", SIZE),
    # Policy files
    "protocols.policyfile REQUEST_TIMEOUT": Row("request on a policy port", TIME),
    "wire.policy.request MAX_REQUEST_LENGTH": Row("request on a policy port", SIZE),
    "protocols.policyfile MISSING_END_TIMEOUT": Row("waiting for the NUL byte", TIME),
    "wire.policy.file MAX_POLICY_LENGTH": Row("policy file", SIZE),
    "protocols.policychecker MASTER_TIMEOUT": Row("getting the master policy file", TIME),
    "protocols.policyclient ANSWER_TIMEOUT": Row("getting another policy file", TIME),
    "protocols.policychecker NAMED_TIMEOUT": Row("getting a file named", TIME),
    "protocols.policychecker MAX_FILES": Row("policy files in the cache"),
    "system MAX_POLICY_URLS": Row("files named in loadPolicyFile"),
    # Bridge
    "protocols.bridge CONNECT_TIMEOUT": Row("connecting to the server of the bridge", TIME),
    # TLS
    "tls.server HANDSHAKE_TIMEOUT": Row("TLS handshake", TIME),
    "protocols.securesocket HANDSHAKE_TIMEOUT": Row("TLS handshake of a client", TIME),
    "tls.connection MAX_ANSWERS": Row("answers to TLS key updates", SIZE),
    "tls.trust MAX_CONTEXTS": Row("OpenSSL contexts"),
    "wire.x509.costs MAX_COMPARISONS": Row("comparisons of names"),
    "wire.x509.costs MAX_ELEMENTS": Row("DER elements"),
    "wire.x509.costs MAX_RSA_BITS": Row("RSA keys"),
    "wire.x509.costs MAX_EXPONENT_BITS": Row("RSA keys"),
    "wire.x509.costs MAX_DEPTH": Row("intermediate certificates in a path"),
    "wire.x509.costs MAX_STEPS": Row("signatures verified"),
    "wire.x509.costs MAX_FAILURES": Row("signatures verified"),
    "wire.x509.certificates MAX_ISSUERS": Row("keys tried"),
    "wire.x509.revocation MAX_RESPONSE": Row("OCSP response", SIZE),
    "wire.x509.revocation MAX_RESPONDERS": Row("OCSP response"),
    "wire.x509.revocation MAX_AGE": Row("age of an OCSP response", DAYS),
    "wire.x509.revocation MAX_SKEW": Row("OCSP response that begins", TIME),
    "tls.identities MIN_RSA_BITS": Row("RSA key of a server"),
    "tls.identities EXPIRY_WARNING": Row("warning before a server certificate expires", DAYS),
    "tls.server _REPORT_INTERVAL": Row("interval of warnings", DAYS),
    # AMF and ByteArray
    "wire.amf.values AMFLimits.depth": Row("AMF: nested values"),
    "wire.amf.values AMFLimits.items": Row("AMF: values"),
    "wire.amf.values AMFLimits.objects": Row("AMF: objects"),
    "wire.amf.values AMFLimits.text": Row("AMF: text", SIZE),
    "wire.amf.values AMFLimits.total": Row("AMF: encoded value", SIZE),
    "wire.amf.flex MAX_FLAGS": Row("flag bytes of one class of a Flex message"),
    "wire.compression MAX_UNCOMPRESSED": Row("ByteArray.uncompress", SIZE),
    "wire.compression _MAX_LZMA_MEMORY": Row("memory of LZMA", SIZE),
    # Workers
    "services.options MAX_WORKERS": Row("worker processes"),
    "workers.supervisor START_TIMEOUT": Row("time until a worker", TIME),
    "workers.supervisor MAX_HELD": Row("log lines of a worker"),
    "workers.backoff MAX_DELAY": Row("delay before a worker", TIME),
    "workers.loglines MAX_LINE": Row("log line of a worker", SIZE),
    "workers.link MAX_LENGTH": Row("message between supervisor and worker", SIZE),
    "workers.link MAX_REQUESTS": Row("unanswered requests to a worker"),
    "workers.link RESPONSE_TIMEOUT": Row("response from a worker", TIME),
    # Metrics and dashboard
    "dashboard.adminhttp MAX_CONNECTIONS": Row("connections to --metrics"),
    "dashboard.adminhttp MAX_BODY": Row("request to --metrics", SIZE),
    "dashboard.adminhttp REQUEST_TIMEOUT": Row("request to --metrics", TIME),
    "dashboard.page MAX_GUESSES": Row("wrong dashboard tokens"),
    "dashboard.page GUESS_RATE": Row("wrong dashboard tokens"),
    "dashboard.page _MAX_GUESSERS": Row("addresses of wrong dashboard tokens"),
    "dashboard.page MAX_REASON": Row("reason for disconnecting"),
    "dashboard.streams MAX_STREAMS": Row("dashboard streams"),
    "dashboard.streams MAX_SHOWN": Row("clients and rooms shown"),
    "dashboard.streams MAX_MESSAGES": Row("messages shown"),
    "dashboard.streams MAX_TEXT": Row("text of a message shown"),
    "services.options MIN_TOKEN": Row("dashboard token"),
    # Log and terminal client
    "wire.text MAX_SHOWN": Row("value in a log line"),
    "logs MAX_EVENTS": Row("info lines of one kind"),
    "logs LOG_INTERVAL": Row("info lines of one kind", TIME),
    "telnetclient.prompt MAX_WAITING": Row("received text not displayed"),
    "telnetclient.prompt MAX_UNFINISHED": Row("unfinished line"),
    "telnetclient.prompt MAX_HISTORY": Row("history"),
    "telnetclient.prompt MAX_HISTORY_BYTES": Row("history", SIZE),
    "telnetclient.connection CLOSE_TIMEOUT": Row("closing by openfl-telnet", TIME),
}

NOT_LIMITS = {
    "workers.loglines _MAX_PART": "a part of a log line of a worker, which has a limit",
    "workers.loglines _MAX_NAME": "a part of a log line of a worker, which has a limit",
    "protocols.websocket _MAX_SHOWN": "part of a text for people, which the log limits too",
    "net.link MIN_TIMEOUT": "the least value of OpenFL's property timeout",
    "net.link DEFAULT_TIMEOUT": "the default of OpenFL's property timeout",
    "net.datagramsocket MAX_DATAGRAM": "the maximum of UDP",
    "protocols.datagram MAX_DATAGRAM": "the maximum of UDP",
    "reactors.epoll _MAX_EVENTS": "events in one system call; the next call has the others",
    "reactors.udp _MAX_KNOWN": "a cache of addresses",
    "brokers.outbox MAX_PAYLOAD": "a message and its envelope",
    "brokers.outbox BrokerLimits.maxPayload": "a message and its envelope",
    "brokers.outbox BrokerLimits.retryDelay": "the first delay, below the maximum",
    "rooms.room RoomLimits.resume": "an option that is off by default",
    "transports.tcp _MAX_CHUNKS": "the maximum of one system call",
    "transports.websocket _MAX_PIECES": "the part that is read after a Close",
    "tls.identities _MAX_NAMES": "part of a text for people",
    "wire.x509.certificates MAX_DETAIL": "part of a text for people",
    "wire.amf.amf3 MIN_INTEGER": "the range of a number",
    "wire.websocket.frames _MIN_VIEW": "how messages are copied",
    "utils _MAX_UINT": "the range of a number",
    "wire.amf.amf0 _MAX_SHORT": "the range of a number",
    "wire.amf.amf0 _MAX_INDEX": "the range of an index",
    "wire.amf.amf3 MAX_INTEGER": "the range of a number",
    "wire.dataio MAX_UTF_LENGTH": "the range of a length",
    "wire.dataio _MAX_ARRAY_LENGTH": "the range of a length",
    "wire.policy.decision MAX_REASONS": "lines of an explanation",
    "wire.policy.file _MAX_COMPARED": "rules with which each rule is compared for warnings",
    "wire.proxyheader _MAX_PORT": "the range of a port",
    "wire.httprequest MAX_REQUEST_START": "follows from MAX_TARGET",
    "wire.x509.servernames _MAX_NAME": "the maximum of DNS",
    "wire.strictxml XMLLimits.depth": "policy files have the same, see its row",
    "wire.websocket.frames _MAX_PAYLOAD": "the size of a chunk",
    "wire.websocket.frames _MAX_INFLATED": "the size of a chunk",
    "wire.websocket.frames _MAX_CONTROL": "the maximum of RFC 6455",
    "wire.websocket.messages _MAX_REASON": "the maximum of RFC 6455",
    "wire.websocket.messages _MAX_SHORT": "how messages are compressed and cached",
}
