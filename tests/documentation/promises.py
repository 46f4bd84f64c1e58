"""
The promises of pages in C{docs/topics} and the tests that hold them, for
L{tests.documentation.test_promises}.

Each table has the sections of its page. A key is the beginning of the first cell of a table row, of
a list item or of a paragraph. The values name tests: the path below C{tests}, a space, and
C{Class.test} or C{test}. In C{tls/situations}, it is the text of a situation, for which
C{tls/test_laboratory.py} generates a test.
"""

SECURITY = {
    "Access": {
        "a web page opens WebSockets": [
            "protocols/test_clienttypes.py HTTPTests.test_origin",
            "services/test_options.py PolicyOptionTests.test_values",
        ],
        "a program connects directly": [
            "protocols/test_websocket.py OriginTests.test_permitted",
            "protocols/test_allowing.py ResultTests.test_refused",
            "tls/test_clientca.py RefusedTests.test_none",
            "services/test_options.py CallerOptionTests.test_clientCA",
        ],
        "a client that was disconnected": [
            "dashboard/test_page.py CommandTests.test_block",
            "transports/test_blocking.py BlockTests.test_refused",
        ],
        "traffic is read or changed": [
            "tls/test_server.py ServerCertificatesTests.test_versionsAndCiphers",
            "tls/test_clienthello.py HelloTests.test_suites",
            "tls/test_clienthello.py HelloTests.test_versions",
        ],
        "plaintext is injected": [
            "transports/test_starttls.py StartTLSTests.test_plaintext",
            "transports/test_starttls.py StartTLSTests.test_plaintextIsLogged",
        ],
        "another server pretends": ["net/test_securesocket.py SecureSocketTests.test_refused"],
        "a web page sends an HTTP request": [
            "protocols/test_clienttypes.py HTTPTests.test_refused",
            "protocols/test_clienttypes.py HTTPTests.test_split",
        ],
        "a browser requests other files": [
            "services/test_play.py FileTests.test_types",
            "services/test_play.py FileTests.test_index",
            "services/test_play.py TraversalTests.test_paths",
            "services/test_play.py TraversalTests.test_links",
            "services/test_playoptions.py PlayOptionTests.test_secrets",
        ],
        "the generated page (--play)": [
            "services/test_play.py PageTests.test_page",
            "services/test_play.py PageTests.test_remoteRuffle",
            "services/test_play.py PageTests.test_settings",
        ],
        "a false Host": ["services/test_play.py PageTests.test_page"],
        "a page uses DNS rebinding": ["live/test_play.py test_ownPage"],
        "recordings (--record)": [
            "services/test_recording.py OptionTests.test_values",
            "services/test_recording.py ServiceTests.test_records",
            "sessions/test_writer.py FileTests.test_modes",
            "sessions/test_writer.py FileTests.test_otherReaders",
            "sessions/test_hiding.py HidingTests.test_everyCut",
        ],
        "a client uses the bridge": [
            "protocols/test_bridge.py TargetTests.test_unknown",
            "protocols/test_gateway.py GatewayTests.test_noRule",
            "protocols/test_gateway.py GatewayTests.test_privateAddress",
            "protocols/test_gateway.py GatewayTests.test_changingName",
            "protocols/test_gateway.py GatewayTests.test_ownPort",
        ],
        "a client sends false X-Forwarded-For": [
            "protocols/test_websocket.py ProxyTests.test_behind",
            "transports/test_blocking.py ProxyTests.test_forged",
            "protocols/test_clienttypes.py AcceptTests.test_proxyHeader",
        ],
    },
    "Resource exhaustion": {
        "idle connections": [
            "transports/test_guard.py LimitTests.test_maxConnections",
            "transports/test_connectioninfo.py AddressLimitTests.test_limit",
            "protocols/test_clienttypes.py LimitTests.test_time",
            "protocols/test_clienttypes.py LimitTests.test_many",
            "transports/test_guard.py TimeTests.test_idle",
        ],
        "an unterminated message": ["protocols/test_xmlsocket.py LimitTests.test_tooLong"],
        "a flood of messages": ["protocols/test_ratelimit.py RateLimitTests.test_closed"],
        "a flood of short messages": [
            "protocols/test_xmlsocket.py TurnTests.test_order",
            "transports/test_websocket.py FloodTests.test_turns",
        ],
        "a client that does not read": [
            "transports/test_buffered.py QueueTests.test_cutOff",
            "protocols/test_xmlsocket.py BroadcastTests.test_slowReader",
        ],
        "one byte per segment": [
            "wire/test_linear.py LinearTests.test_linear",
            "wire/test_messages.py MessageSplitterTests.test_oneSplitForManyMessages",
        ],
        "an incomplete HTTP request": [
            "protocols/test_websocket.py HandshakeTests.test_longHead",
            "protocols/test_websocket.py HandshakeTests.test_openTimeout",
            "protocols/test_clienttypes.py HTTPTests.test_incomplete",
            "protocols/test_http.py PersistentTests.test_slowBody",
        ],
        "many or long HTTP requests": [
            "protocols/test_http.py LimitTests.test_places",
            "protocols/test_http.py LimitTests.test_maximum",
            "protocols/test_http.py PersistentTests.test_maxBody",
            "protocols/test_http.py SlowClientTests.test_neverRead",
        ],
        "an incomplete TLS handshake": ["tls/test_server.py ServerConnectionTests.test_stalled"],
        "a flood of TLS key updates": ["tls/test_server.py ServerConnectionTests.test_answers"],
        "a TLS server with certificates": [
            "tls/test_client.py DenialTests.test_costly",
            "wire/x509/test_costs.py ExcessTests.test_comparisons",
            "wire/x509/test_costs.py ExcessTests.test_elements",
            "tls/situations/costly.py an RSA key that is too long",
        ],
        "a small compressed message": [
            "wire/websocket/test_conformance.py CompressionTests.test_violations",
            "transports/test_websocket.py ReadTests.test_compressed",
        ],
        "many rooms": ["rooms/test_lobby.py LimitTests.test_full"],
        "an XML bomb": [
            "wire/policy/test_file.py FileTests.test_entityBombs",
            "wire/test_strictxml.py ElementTests.test_refused",
            "wire/test_strictxml.py ElementTests.test_limits",
        ],
        "a room message that is expensive": [
            "rooms/test_forging.py ForgingTests.test_expensive",
            "rooms/test_forging.py ForgingTests.test_cheap",
        ],
        "a deeply nested or very large AMF value": [
            "wire/amf/test_fuzz.py LimitTests.test_defaultDepth",
            "wire/amf/test_fuzz.py LimitTests.test_items",
            "wire/amf/test_fuzz.py LimitTests.test_objects",
            "wire/amf/test_fuzz.py LimitTests.test_memory",
            "test_utils.py MemoryTests.test_byteArrays",
        ],
        "a flood of policy requests": [
            "protocols/test_policyfile.py PolicyFileTests.test_limit",
            "protocols/test_policyfile.py PolicyFileTests.test_silence",
            "protocols/test_policyfile.py PolicyFileTests.test_anyCut",
        ],
    },
    "Other clients and operators": {
        "<joined> or": ["rooms/test_forging.py ForgingTests.test_forged"],
        "resuming the membership": [
            "rooms/test_lobby.py ResumeTests.test_token",
            "rooms/test_roomprotocol.py XMLTests.test_join",
        ],
        "control characters for a terminal": [
            "telnetclient/test_terminal.py VisibleTests.test_noControls",
            "telnetclient/test_command.py ChoiceTests.test_script",
            "live/test_telnet.py test_escapes",
        ],
        "calling a method by its name": [
            "test_dispatch.py XMLTests.test_names",
            "test_dispatch.py XMLTests.test_errors",
        ],
        "HTML in a message": [
            "dashboard/test_page.py PageTests.test_files",
            "clients/test_dashboard.py test_page",
        ],
        "using the bridge": ["protocols/test_bridge.py TargetTests.test_unknown"],
        "reading messages through": [
            "dashboard/test_page.py TokenTests.test_refused",
            "dashboard/test_page.py PageTests.test_files",
        ],
        "guessing the token": ["dashboard/test_page.py TokenTests.test_guessing"],
        "escape sequences in the log": [
            "test_logs.py LoggerTests.test_values",
            "test_logs.py EscapeTests.test_long",
            "test_logs.py CallTests.test_formats",
            "test_logs.py CallTests.test_loggers",
        ],
    },
    "Your responsibilities": {
        "Validate everything": ["live/test_tutorial.py test_step1"],
    },
}

ONEPORT = {
    "One port for every client": {
        "OpenFL native and AIR use TCP": [
            "test_endpoints.py DescriptionTests.test_simple",
            "services/test_serving.py MakeServiceTests.test_xml",
            "services/test_serving.py MakeServiceTests.test_echo",
            "services/test_bridge.py BridgeOptionTests.test_service",
        ],
    },
    "Protocol detection": {
        "The first bytes": [
            "protocols/test_clienttypes.py DetectedTests.test_plain",
            "protocols/test_clienttypes.py DetectedTests.test_webSocket",
        ],
        "<policy-file-request/>": [
            "protocols/test_clienttypes.py DetectedTests.test_policy",
            "protocols/test_oneport.py PolicyTests.test_withoutEnd",
        ],
        "an HTTP request line": [
            "wire/test_firstbytes.py RecognizeTests.test_http",
            "protocols/test_clienttypes.py DetectedTests.test_webSocket",
            "protocols/test_clienttypes.py HTTPTests.test_refused",
        ],
        "16 03": [
            "wire/test_firstbytes.py RecognizeTests.test_tls",
            "protocols/test_clienttypes.py DetectedTests.test_webSocket",
        ],
        "PROXY TCP4": [
            "wire/test_firstbytes.py RecognizeTests.test_proxy",
            "protocols/test_clienttypes.py AcceptTests.test_proxyHeader",
        ],
        "anything else": ["protocols/test_clienttypes.py DetectedTests.test_plain"],
        "Detection never guesses": [
            "wire/test_firstbytes.py RecognizeTests.test_decidesOnce",
            "protocols/test_oneport.py PlainTests.test_anyCut",
            "wire/test_httprequest.py StartsRequestTests.test_version",
        ],
        "A plain client may wait": [
            "protocols/test_clienttypes.py DetectedTests.test_silence",
            "protocols/test_clienttypes.py DetectedTests.test_lateWebSocket",
            "protocols/test_clienttypes.py SlowTests.test_webSocket",
            "protocols/test_clienttypes.py AcceptTests.test_notPlainAndSilent",
        ],
        "An incomplete signature": [
            "protocols/test_clienttypes.py HTTPTests.test_split",
            "protocols/test_clienttypes.py HTTPTests.test_incomplete",
            "protocols/test_oneport.py PlainTests.test_incompleteRequest",
            "protocols/test_clienttypes.py LimitTests.test_many",
        ],
    },
    "WebSocket": {
        "To the application": [
            "transports/test_websocket.py TransportTests.test_writes",
            "transports/test_websocket.py ReadTests.test_anyPieces",
            "protocols/test_websocket.py FactoryTests.test_xmlSocket",
            "protocols/test_webclients.py TextTests.test_binary",
        ],
        "The policy file decides": [
            "protocols/test_clienttypes.py HTTPTests.test_origin",
            "wire/policy/test_origins.py OriginTests.test_without",
        ],
    },
    "Web pages": {
        "With OnePortFactory": [
            "protocols/test_http.py RequestTests.test_methods",
            "protocols/test_http.py RequestTests.test_healthCheck",
            "protocols/test_http.py ProxyTests.test_proxyHeader",
            "test_endpoints.py DescriptionTests.test_httpFactory",
        ],
        "A proxy such as nginx": [
            "live/test_http.py test_nginx",
            "protocols/test_http.py PersistentTests.test_pipelined",
            "protocols/test_http.py PersistentTests.test_ownChannel",
            "protocols/test_http.py PersistentTests.test_otherFactory",
        ],
        "HTTP connections have the client type": [
            "transports/test_connectioninfo.py KindTests.test_http",
        ],
        "After its first request": [
            "protocols/test_http.py LimitTests.test_places",
            "protocols/test_http.py LimitTests.test_maximum",
            "protocols/test_http.py LimitTests.test_upgrade",
        ],
        "Before its first request": ["protocols/test_http.py LimitTests.test_places"],
        "A request must be complete": [
            "protocols/test_http.py PersistentTests.test_slowBody",
            "protocols/test_http.py PersistentTests.test_slowHead",
            "protocols/test_http.py PersistentTests.test_idle",
            "protocols/test_http.py SlowClientTests.test_endNeverRead",
        ],
        "A request body": [
            "protocols/test_http.py PersistentTests.test_maxBody",
            "protocols/test_http.py PersistentTests.test_otherFactory",
        ],
        "Downloads do not delay": [
            "live/test_http.py test_downloads",
            "protocols/test_http.py SlowClientTests.test_neverRead",
        ],
    },
    "Other HTTP requests": {
        "A web page can send": ["protocols/test_clienttypes.py HTTPTests.test_refused"],
        "GET or HEAD of /healthz": ["wire/test_httprequest.py AnswerTests.test_statuses"],
        "OPTIONS": ["wire/test_httprequest.py AnswerTests.test_statuses"],
        "either of them while": ["services/test_draining.py DrainTests.test_drain"],
        "any other GET or HEAD": ["wire/test_httprequest.py AnswerTests.test_statuses"],
        "another registered method": ["wire/test_httprequest.py AnswerTests.test_statuses"],
        "a registered method in lower": ["wire/test_httprequest.py AnswerTests.test_statuses"],
        "a malformed request": [
            "protocols/test_clienttypes.py HTTPTests.test_refused",
            "wire/test_httprequest.py ParseTests.test_malformed",
        ],
        "a request head longer": ["protocols/test_clienttypes.py HTTPTests.test_refused"],
        "GET with Upgrade": [
            "protocols/test_clienttypes.py AcceptTests.test_notAccepted",
            "protocols/test_clienttypes.py HTTPTests.test_origin",
        ],
        "Detection knows": [
            "wire/test_httprequest.py StartsRequestTests.test_methods",
            "protocols/test_xmlsocket.py ForeignTests.test_unregisteredMethod",
        ],
        "Refused requests are logged": [
            "protocols/test_clienttypes.py HTTPTests.test_log",
            "dashboard/test_metrics.py MetricsTests.test_foreign",
        ],
        "A TLS handshake on a port": [
            "protocols/test_clienttypes.py AcceptTests.test_withoutCertificate",
        ],
        "With --plain": [
            "protocols/test_xmlsocket.py ForeignTests.test_refused",
            "protocols/test_echoes.py ForeignTests.test_refused",
            "protocols/test_framings.py FramingTests.test_rawRequest",
            "protocols/test_echoes.py ForeignTests.test_passThrough",
            "protocols/test_bridge.py BridgeTests.test_request",
        ],
        "If the application speaks": [
            "protocols/test_clienttypes.py AcceptTests.test_passThrough",
            "protocols/test_http.py SettingTests.test_passThrough",
            "live/test_endpoints.py test_web",
        ],
    },
    "Wrap any Twisted server": {
        "The first command": [
            "live/test_endpoints.py test_web",
            "test_endpoints.py DescriptionTests.test_http",
            "live/test_endpoints.py test_portForward",
        ],
        "Settings precede": ["test_endpoints.py DescriptionTests.test_settings"],
        "policy=": ["test_endpoints.py DescriptionTests.test_settings"],
        "accept=": [
            "test_endpoints.py DescriptionTests.test_settings",
            "test_endpoints.py DescriptionTests.test_http",
        ],
        "greetingDelay=": ["test_endpoints.py DescriptionTests.test_settings"],
        "passThrough=": [
            "test_endpoints.py DescriptionTests.test_settings",
            "test_endpoints.py DescriptionTests.test_http",
        ],
        "tlsCertificate=": ["test_endpoints.py DescriptionTests.test_certificate"],
        "tlsKey=": ["test_endpoints.py DescriptionTests.test_certificate"],
        "openfl:tls:certificates": ["test_endpoints.py DescriptionTests.test_tlsEndpoint"],
        "In Python": ["test_endpoints.py CodeTests.test_endpoint"],
    },
}

PROMISES: dict[str, dict[str, dict[str, list[str]]]] = {
    "security.rst": SECURITY,
    "oneport.rst": ONEPORT,
}

# The texts that promise nothing, and the reason.
EXEMPT: dict[str, dict[str, dict[str, str]]] = {
    "security.rst": {
        "Security": {"This page lists": "describes the page"},
        "Your responsibilities": {
            "Servers trust their broker": "a warning",
            "All users of the machine": "a warning",
            "Do not expose": "a warning",
        },
        "Tests": {
            "tests/documentation/promises.py": "describes the tests",
            "python -m benchmarks.hostile": "describes a benchmark",
            "To report": "names a file",
        },
    },
    "oneport.rst": {},
}
