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
        "formulas in an exported name": [
            "dashboard/test_tables.py TableTests.test_formulas",
            "dashboard/test_tables.py TableTests.test_anyName",
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
        "Keep secrets out": ["protocols/test_clienttypes.py PrivacyTests.test_secrets"],
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

CERTIFICATES = {
    "Certificate statuses": {
        "SecureSocket connects only": [
            "net/test_securesocket.py SecureSocketTests.test_trusted",
            "net/test_securesocket.py SecureSocketTests.test_refused",
        ],
        "An example program": ["live/test_examples.py test_certificates"],
        "unknown": [
            "net/test_securesocket.py SecureSocketTests.test_new",
            "net/test_securesocket.py SecureSocketTests.test_notReachable",
            "net/test_securesocket.py SecureSocketTests.test_plainServer",
        ],
        "trusted": ["tls/test_client.py VerdictTests.test_notTooEarly"],
        "untrustedSigners": [
            "tls/situations/chains.py an unknown root",
            "tls/situations/chains.py a missing intermediate",
        ],
        "invalidChain": [
            "tls/situations/chains.py an expired intermediate",
            "tls/situations/chains.py a server as its issuer",
            "tls/situations/chains.py an issuer that may not sign certificates",
        ],
        "principalMismatch": ["tls/situations/names.py another name"],
        "notYetValid": ["tls/situations/refused.py a certificate of tomorrow"],
        "expired": ["tls/situations/refused.py an expired certificate"],
        "revoked": [
            "tls/situations/revoking.py a list that lists it",
            "tls/situations/revoking.py a list that lists its intermediate",
        ],
        "invalid": [
            "tls/situations/refused.py a forged certificate",
            "tls/situations/refused.py a certificate for clients",
            "tls/situations/refused.py an invalid certificate",
            "tls/situations/refused.py a key that it does not have",
        ],
        "CertificateMaker": ["testing/test_certificates.py CertificateTests.test_saveAll"],
        "ca.pem contains": ["testing/test_certificates.py CertificateTests.test_saveAll"],
        "Connect to it": ["documentation/test_pages.py test_page"],
        "For unknown": ["live/test_telnet.py test_notTLS"],
    },
    "Order of the statuses": {
        "If a certificate has several problems": [
            "wire/x509/test_certificates.py RankingTests.test_everyPair",
        ],
        "invalid: the certificate is malformed": [
            "wire/x509/test_certificates.py TableTests.test_integrity",
            "tls/situations/ranking.py altered",
        ],
        "revoked": ["tls/situations/ranking.py revoked"],
        "untrustedSigners, then": [
            "tls/situations/ranking.py of an unknown root",
            "tls/situations/ranking.py below a bad intermediate",
        ],
        "principalMismatch": ["tls/situations/ranking.py of another name"],
        "notYetValid and expired": [
            "tls/situations/ranking.py too early",
            "tls/situations/ranking.py too late",
        ],
        "invalid: any other": ["tls/situations/ranking.py for clients"],
        "Browsers use a similar order": [
            "wire/x509/test_certificates.py RuleTests.test_datesOfCA",
            "tls/situations/refused.py an expired certificate in an expired chain",
        ],
    },
    "Verification": {
        "OpenSSL builds a path": ["wire/x509/test_certificates.py RankingTests.test_neverForgiven"],
        "service-identity compares": [
            "wire/x509/test_servernames.py MatchTests.test_wildcards",
            "wire/x509/test_servernames.py MatchTests.test_addresses",
            "wire/x509/test_servernames.py MatchTests.test_malformed",
            "wire/x509/test_servernames.py MatchTests.test_internationalBelowWildcard",
            "wire/x509/test_servernames.py MatchTests.test_finalDot",
            "tls/situations/names.py a common name only",
            "tls/situations/names.py a name with a space",
        ],
        "A second verifier": [
            "tls/situations/chains.py a wildcard for what is excluded",
            "tls/situations/trusted.py two paths",
            "tls/situations/chains.py two paths that break different rules",
        ],
        "The status is trusted only": [
            "tls/test_client.py VerdictTests.test_notTooEarly",
            "tls/situations/refused.py a key that it does not have",
        ],
        "No data of the program": [
            "net/test_securesocket.py SecureSocketTests.test_refused",
            "tls/situations/names.py no name at all",
        ],
    },
    "Exceptions to the second verifier": {
        "For example": ["tls/situations/chains.py a wildcard for what is excluded"],
        "a CA of the path has an Ed25519": [
            "wire/x509/test_paths.py PathTests.test_unusualKeys",
            "tls/situations/trusted.py keys of Ed25519",
            "tls/situations/trusted.py an authority on P-224",
            "tls/situations/trusted.py a root on Brainpool",
            "tls/situations/chains.py an allowed name below a constrained key of Ed25519",
            "tls/situations/chains.py an allowed name below a constrained key on Brainpool",
        ],
        "the trust anchor is an X.509": [
            "tls/situations/trusted.py a root with an old version",
            "tls/situations/chains.py a root with an old version and the strict profile",
        ],
        "a CA of the path has a critical": [
            "tls/situations/trusted.py an authority with policy mappings",
            "tls/situations/trusted.py an authority with policy constraints",
            "tls/situations/trusted.py an authority that inhibits any policy",
            "tls/situations/trusted.py an authority with critical policies",
            "tls/situations/trusted.py an authority with critical distribution points",
            "tls/situations/trusted.py an authority with a critical OCSP no-check",
        ],
        "a name of the certificate ends": [
            "tls/situations/trusted.py a name of the certificate with a dot at the end",
        ],
        "the host name is not valid": [
            "tls/situations/names.py an underscore",
            "tls/situations/chains.py an excluded name with an underscore",
            "tls/situations/chains.py a wildcard for an excluded name with a final hyphen",
        ],
        "the extensions of a certificate": [
            "tls/situations/chains.py constraints that cannot be read below a key of Ed25519",
            "wire/x509/test_paths.py PathTests.test_constrained",
        ],
        "a name constraint begins": [
            "tls/situations/chains.py a permitted domain that begins with a dot",
            "tls/situations/chains.py an excluded domain that begins with a dot",
        ],
        "the certificate is for an IP address": [
            "tls/situations/trusted.py an address and a common name that is not permitted",
            "tls/situations/trusted.py an address and an excluded common name",
            "tls/situations/chains.py an address that is not permitted and an excluded common name",
        ],
        "the server certificate is itself": [
            "tls/situations/trusted.py a pinned server with an excluded name",
        ],
        "certificates above a trust anchor": [
            "tls/situations/trusted.py a pinned intermediate with an excluded name",
        ],
        "the server certificate has an Ed25519": [
            "tls/situations/trusted.py an allowed name and a key of Ed25519",
            "tls/situations/chains.py a wildcard for what is excluded and a key of Ed25519",
        ],
        "another path to a trust anchor": ["wire/x509/test_paths.py PathTests.test_onePath"],
        "OpenSSL has already refused": [
            "tls/situations/trusted.py two paths",
            "tls/situations/chains.py two paths that break different rules",
            "tls/situations/revoking.py a revoked intermediate below many authorities",
        ],
        "the trust anchor is only": ["tls/test_trust.py PlatformTests.test_folder"],
        'profile="webpki"': [
            "tls/test_client.py DenialTests.test_strictProfileHasNoOddNames",
            "tls/situations/chains.py a root with an old version and the strict profile",
        ],
        "TLS sessions are not resumed": [
            "tls/test_clienthello.py SessionTests.test_notResumed",
            "tls/test_identities.py ContextTests.test_options",
        ],
    },
    "Cost limits": {
        "A server may send 100 KB": [
            "tls/test_client.py DenialTests.test_costly",
            "tls/test_badinput.py LargeTests.test_hundredKilobytes",
        ],
        "names, multiplied": [
            "wire/x509/test_costs.py ExcessTests.test_comparisons",
            "wire/x509/test_costs.py CountTests.test_names",
            "wire/x509/test_costs.py CountTests.test_constraints",
            "tls/test_client.py DenialTests.test_ownConstraints",
        ],
        "DER elements": ["wire/x509/test_costs.py ExcessTests.test_elements"],
        "RSA keys": [
            "tls/situations/costly.py an RSA key that is too long",
            "tls/situations/costly.py an RSA exponent that is too long",
            "tls/situations/costly.py the longest RSA key that is allowed",
        ],
        "DSA keys": ["tls/situations/costly.py a DSA key"],
        "Other limits end a search": [
            "tls/test_client.py VerdictTests.test_manyIntermediates",
            "wire/x509/test_paths.py PathTests.test_depth",
            "wire/x509/test_paths.py CostTests.test_crossSigned",
            "wire/x509/test_paths.py CostTests.test_crossSignedByRoot",
            "wire/x509/test_paths.py CostTests.test_sameNames",
            "wire/x509/test_paths.py CostTests.test_paths",
            "wire/x509/test_certificates.py RuleTests.test_manyIssuers",
            "wire/x509/test_revocation.py StapleTests.test_long",
            "wire/x509/test_revocation.py StapleTests.test_manyResponders",
        ],
    },
    "TLS alerts": {
        "A refused server receives": ["tls/test_alerts.py AlertTests.test_statuses"],
        "expired": ["tls/test_alerts.py AlertTests.test_statuses"],
        "revoked, by a CRL": ["tls/test_alerts.py AlertTests.test_statuses"],
        "untrustedSigners": ["tls/test_alerts.py AlertTests.test_statuses"],
        "any other": [
            "tls/test_alerts.py AlertTests.test_statuses",
            "tls/test_alerts.py AlertTests.test_costly",
        ],
        "any, because of the OCSP": [
            "tls/test_alerts.py AlertTests.test_stapledRevocation",
            "tls/test_alerts.py AlertTests.test_missingStaple",
        ],
        "pyOpenSSL has no public way": ["tls/test_alerts.py AlertTests.test_withoutPrivateNames"],
    },
    "Trust anchors": {
        "The CAs of this machine": [
            "tls/test_trust.py PlatformTests.test_otherFile",
            "tls/test_trust.py PlatformTests.test_folder",
            "tls/test_trust.py PlatformTests.test_certifi",
            "tls/test_trust.py PlatformTests.test_nothing",
            "tls/test_trust.py FileTests.test_fromPEM",
        ],
        "addBinaryChainBuildingCertificate": [
            "net/test_securesocket.py SecureSocketTests.test_added",
            "tls/test_trust.py AddingTests.test_fourCases",
        ],
        'Trust(profile="webpki")': ["wire/x509/test_paths.py PathTests.test_policies"],
    },
    "Revocation": {
        "Trust().addingRevocationList": [
            "tls/test_trust.py FileTests.test_addingRevocationList",
            "tls/test_trust.py FileTests.test_revocationListInFile",
            "wire/x509/test_revocation.py ListTests.test_revoked",
            "wire/x509/test_revocation.py StapleTests.test_skew",
            "wire/x509/test_revocation.py StapleTests.test_times",
            "wire/x509/test_revocation.py StapleTests.test_weakDigest",
            "test_architecture.py ImportTests.test_withoutTwisted",
            "tls/situations/revoking.py a revoking staple",
            "tls/situations/revoking.py a demanded staple that is missing",
            "tls/situations/revoking.py no list of its issuer",
            "tls/situations/revoking.py a demanded proof that is missing",
        ],
    },
    "Verify certificates in any Twisted client": {
        "SecureEndpoint connects": [
            "protocols/test_securesocket.py SecureEndpointTests.test_trusted",
            "protocols/test_securesocket.py SecureEndpointTests.test_refused",
        ],
        "SecureConnectionCreator": [
            "tls/test_client.py CreatorTests.test_interface",
            "tls/test_https.py PolicyTests.test_trusted",
            "tls/test_https.py PolicyTests.test_refused",
        ],
    },
    "Conformance": {
        "tests/conformance prints": ["conformance/test_limbo.py LimboTests.test_default"],
        "default": ["conformance/test_limbo.py LimboTests.test_default"],
        "webpki": ["conformance/test_limbo.py LimboTests.test_webPKI"],
        "tests/conformance/test_limbo.py lists": [
            "conformance/test_limbo.py LimboTests.test_default",
            "conformance/test_limbo.py LimboTests.test_webPKI",
        ],
    },
}

LIMITS = {
    "Backpressure and limits": {
        "Every buffer has a limit": [
            "documentation/test_limits.py LimitTests.test_complete",
            "documentation/test_limits.py LimitTests.test_values",
            "transports/test_guard.py LimitTests.test_noLimit",
            "protocols/test_oneport.py PlainTests.test_noDelay",
            "services/test_draining.py DrainTests.test_noDelay",
            "services/test_serving.py ServiceTests.test_stopWithoutTimeout",
            "rooms/test_lobby.py ResumeTests.test_withoutTime",
        ],
    },
    "Messages": {
        "message": ["protocols/test_xmlsocket.py LimitTests.test_tooLong"],
        "WebSocket frame or text message": [
            "transports/test_websocket.py ReadTests.test_tooLong",
            "protocols/test_webclients.py TextTests.test_limit",
            "services/test_serving.py WebSocketLimitTests.test_longest",
        ],
        "line of the echo servers": ["protocols/test_echoes.py SimpleServerTests.test_tooLong"],
        "messages per second": ["protocols/test_ratelimit.py RateLimitTests.test_messages"],
        "bytes per second": ["protocols/test_ratelimit.py RateLimitTests.test_bytes"],
        "messages handled before": [
            "protocols/test_xmlsocket.py TurnTests.test_order",
            "protocols/test_xmlsocket.py TurnTests.test_broadcast",
            "protocols/test_xmlsocket.py TurnTests.test_spend",
        ],
        "control frames and fragments": ["transports/test_websocket.py FloodTests.test_turns"],
        "fields of a %xt% message": ["wire/test_xt.py XtTests.test_refused"],
        "nested objects and arrays": ["wire/test_strictjson.py ObjectTests.test_depth"],
        "number in a message": [
            "wire/test_strictjson.py ObjectTests.test_numbers",
            "test_dispatch.py XMLTests.test_errors",
            "test_dispatch.py PropertyTests.test_numbers",
        ],
        "malformed messages": ["test_dispatch.py ErrorTests.test_maxMalformed"],
        "bytes of one message": [
            "transports/test_fanout.py FanOutTests.test_steps",
            "protocols/test_xmlsocket.py TurnTests.test_longBroadcast",
        ],
        "WebSocket message that is compressed": [
            "wire/websocket/test_messages.py MessageTests.test_uncompressed",
        ],
        "WebSocket frames cached": ["wire/websocket/test_messages.py MessageTests.test_shared"],
        "invalid UTF-8 sequences": [
            "wire/test_text.py DecodeUTF8Tests.test_veryBroken",
            "wire/amf/test_codec.py VectorTests.test_manyBrokenTexts",
        ],
        "A binary WebSocket message": [
            "transports/test_websocket.py ReadTests.test_inOrder",
            "test_endpoints.py WebSocketTests.test_longMessage",
        ],
        "XML messages with a handler": [
            "wire/test_strictxml.py NodeTests.test_refused",
            "test_dispatch.py XMLTests.test_malformed",
        ],
        "A message to many receivers": [
            "protocols/test_xmlsocket.py TurnTests.test_longBroadcast",
            "rooms/test_roomprotocol.py IterationTests.test_longMessage",
            "transports/test_fanout.py QueueTests.test_long",
        ],
        "With --idle-timeout, every received byte counts": [
            "transports/test_guard.py TimeTests.test_idle",
            "transports/test_guard.py TimeTests.test_idleWebSocket",
        ],
        "openfl-bridge has no rate limit": ["protocols/test_bridge.py BridgeTests.test_slowServer"],
        "The attributes MAX_LENGTH": ["services/test_options.py XMLOptionTests.test_limits"],
        "A rate limit allows bursts": ["protocols/test_ratelimit.py RateLimitTests.test_messages"],
    },
    "Connections": {
        "connections": ["transports/test_guard.py LimitTests.test_maxConnections"],
        "connections per IPv4": [
            "transports/test_connectioninfo.py AddressLimitTests.test_limit",
            "transports/test_hostlimit.py HostTests.test_hostOf",
        ],
        "connections per second": ["transports/test_blocking.py RateTests.test_rate"],
        "addresses whose connection rate": ["transports/test_hostlimit.py RateTests.test_memory"],
        "blocked addresses": [
            "transports/test_blocklist.py BlockTests.test_limits",
            "transports/test_blocklist.py BlockTests.test_badInput",
        ],
        "block file": ["transports/test_blocklist.py FileTests.test_tooLong"],
        "undetected clients": ["protocols/test_clienttypes.py LimitTests.test_many"],
        "HTTP connections": ["protocols/test_http.py LimitTests.test_maximum"],
        "HTTP request body": ["protocols/test_http.py PersistentTests.test_maxBody"],
        "HTTP request, and time": [
            "protocols/test_http.py PersistentTests.test_slowBody",
            "protocols/test_http.py PersistentTests.test_idle",
        ],
        "HTTP response": ["protocols/test_http.py SlowClientTests.test_neverRead"],
        "time without data before a server": [
            "protocols/test_oneport.py PlainTests.test_silence",
        ],
        "protocol detection": ["protocols/test_clienttypes.py LimitTests.test_time"],
        "bytes held for protocol detection": [
            "wire/test_httprequest.py StartsRequestTests.test_longTarget",
            "wire/test_firstbytes.py RecognizeTests.test_decidesOnce",
        ],
        "time without data from a client": ["transports/test_guard.py TimeTests.test_idle"],
        "time until an unreachable client": [
            "transports/test_keepalive.py KeepAliveTests.test_tcp",
        ],
        "connections waiting": ["live/test_backlog.py test_backlog"],
        "connections of the bridge's gateway": [
            "protocols/test_gateway.py GatewayTests.test_rate",
        ],
        "addresses whose gateway rate": ["protocols/test_gateway.py GatewayTests.test_manyClients"],
        "addresses of a host name": ["test_hostnames.py NameTests.test_manyAddresses"],
        "time without a NUL byte": ["protocols/test_bridge.py BridgeTests.test_hint"],
        "PROXY header": [
            "wire/test_proxyheader.py ParseTests.test_invalid",
            "protocols/test_proxyprotocol.py ProxyProtocolTests.test_timeout",
        ],
        "connections that have not sent": [
            "protocols/test_proxyprotocol.py ProxyProtocolTests.test_tooMany",
        ],
        "policy request answered on accept": [
            "live/test_acceptanswer.py test_limits",
            "live/test_acceptanswer.py test_withProtocol",
        ],
        "policy file sent on accept": ["live/test_acceptanswer.py test_limits"],
        "closing a connection": [
            "transports/test_guard.py TimeTests.test_closeTimeout",
            "protocols/test_clienttypes.py ClosingTests.test_stuckTLS",
            "transports/test_websocket.py CloseTests.test_unanswered",
        ],
        "last data for a paused": [
            "protocols/test_clienttypes.py PausedTests.test_notForEver",
            "protocols/test_asynchandlers.py EndTests.test_tooLate",
            "transports/test_websocket.py HeldTests.test_notRead",
        ],
        "time until a reset": ["live/test_async.py test_reset"],
        "time until a warning": ["protocols/test_latehandlers.py LateTests.test_stream"],
        "closing all connections": ["services/test_serving.py ServiceTests.test_stop"],
        "waiting until clients disconnect": ["services/test_draining.py DrainTests.test_timeout"],
        "accepting clients after": ["services/test_draining.py DrainTests.test_drain"],
    },
    "Buffers": {
        "send queue": ["transports/test_buffered.py QueueTests.test_cutOff"],
        "unread bytes": [
            "protocols/test_binarysocket.py ReadTests.test_tooMuchUnread",
            "net/test_socket.py ReadTests.test_limit",
        ],
        "unsent bytes": ["net/test_socket.py WriteTests.test_tooMuchPending"],
        "unread messages": ["net/test_xmlsocket.py MessagesTests.test_backpressure"],
        "freed memory": ["services/test_memory.py MemoryTests.test_limit"],
    },
    "WebSocket": {
        "HTTP request head": [
            "protocols/test_websocket.py HandshakeTests.test_longHead",
            "protocols/test_websocket.py HandshakeTests.test_openTimeout",
        ],
        "time without data": ["transports/test_websocket.py TimeTests.test_ping"],
        "answer to a ping": ["transports/test_websocket.py TimeTests.test_noPong"],
        "WebSocket closing": ["transports/test_websocket.py CloseTests.test_unanswered"],
        "opening handshake of a client": [
            "protocols/test_websocketclient.py HandshakeTests.test_timeout",
        ],
        "decision of allow": ["protocols/test_allowing.py AsyncTests.test_timeout"],
        "data sent before": ["protocols/test_allowing.py AsyncTests.test_tooMuchData"],
    },
    "Rooms": {
        "rooms": ["rooms/test_lobby.py LimitTests.test_full"],
        "members": [
            "rooms/test_lobby.py LimitTests.test_full",
            "rooms/test_lobby.py LimitTests.test_ownLimits",
        ],
        "room or member name": ["rooms/test_lobby.py LimitTests.test_names"],
        "attributes of a room or member": ["rooms/test_lobby.py LimitTests.test_data"],
        "time in which": ["rooms/test_lobby.py ResumeTests.test_tooLate"],
        "disconnected members": ["rooms/test_lobby.py ResumeTests.test_maxKept"],
        "messages kept": ["rooms/test_lobby.py ResumeTests.test_bounded"],
        "tags": ["wire/test_strictxml.py ElementTests.test_limits"],
        "attributes of a room message": [
            "wire/test_strictxml.py ElementTests.test_limits",
            "rooms/test_forging.py ForgingTests.test_expensive",
        ],
        "tag or comment": ["wire/test_strictxml.py ElementTests.test_longTokens"],
        "namespace": ["rooms/test_forging.py ForgingTests.test_expensive"],
    },
    "Brokers": {
        "messages queued": [
            "brokers/test_queuedpubsub.py OutboxTests.test_limits",
            "brokers/test_queuedpubsub.py QueuedPubSubTests.test_outboxFull",
            "brokers/test_queuedpubsub.py QueuedPubSubTests.test_tooOld",
            "brokers/pubsubcase.py BrokerPubSubCase.test_congested",
            "rooms/test_roomprotocol.py NodeTests.test_backpressure",
        ],
        "connecting": ["brokers/test_brokerurl.py MakeTests.test_connectTimeout"],
        "login": ["brokers/pubsubcase.py BrokerPubSubCase.test_loginTimeout"],
        "time without data": ["brokers/pubsubcase.py BrokerPubSubCase.test_ping"],
        "answer of the broker": ["brokers/pubsubcase.py BrokerPubSubCase.test_pingTimeout"],
        "delay between": ["brokers/pubsubcase.py BrokerPubSubCase.test_backoff"],
        "waiting for other nodes": [
            "brokers/pubsubcase.py BrokerPubSubCase.test_gatheringTimeout",
        ],
        "topic": ["brokers/test_queuedpubsub.py QueuedPubSubTests.test_wrongTopics"],
        "topics with": ["wire/test_envelope.py SequencerTests.test_memory"],
        "nodes": [
            "wire/test_envelope.py LossCounterTests.test_memory",
            "brokers/test_redispresence.py RedisPresenceTests.test_manyNodes",
        ],
        "presence of a node": [
            "brokers/test_redispresence.py RedisPresenceTests.test_set",
            "live/test_brokers.py test_presenceExpires",
        ],
        "unanswered Redis": [
            "brokers/test_redispresence.py RedisPresenceTests.test_tooManyPending"
        ],
        "Redis reply": [
            "brokers/test_redispubsub.py RedisPubSubTests.test_limit",
            "brokers/test_redisreplies.py RedisReaderTests.test_size",
        ],
        "NATS message": ["wire/test_nats.py NATSReaderTests.test_problems"],
        "line of a broker": ["wire/test_lineblocks.py LineBlockParserTests.test_longLine"],
    },
    "Policy files": {
        "request on a policy port": [
            "protocols/test_policyfile.py PolicyFileTests.test_limit",
            "protocols/test_policyfile.py PolicyFileTests.test_silence",
        ],
        "waiting for the NUL": ["protocols/test_policyfile.py PolicyFileTests.test_withoutEnd"],
        "policy file": [
            "protocols/test_policyclient.py PolicyClientTests.test_tooLong",
            "wire/policy/test_file.py FileTests.test_hostile",
        ],
        "getting the master": ["protocols/test_policychecker.py OrderTests.test_silentMaster"],
        "getting another": ["protocols/test_policychecker.py OrderTests.test_silentPort"],
        "getting a file named": ["protocols/test_policychecker.py OrderTests.test_namedForever"],
        "policy files in the cache": ["protocols/test_policychecker.py MemoryTests.test_limit"],
        "files named": ["test_system.py SecurityTests.test_policyFiles"],
    },
    "Bridge": {
        "connecting": ["protocols/test_bridge.py EndTests.test_silentServer"],
    },
    "TLS": {
        "TLS handshake": ["tls/test_server.py ServerConnectionTests.test_stalled"],
        "TLS handshake of a client": [
            "protocols/test_securesocket.py SecureSocketProtocolTests.test_timeout",
            "net/test_securesocket.py SecureSocketTests.test_stalled",
        ],
        "answers to TLS key updates": ["tls/test_server.py ServerConnectionTests.test_answers"],
        "OpenSSL contexts": ["tls/test_trust.py ContextTests.test_bounded"],
        "comparisons": ["wire/x509/test_costs.py ExcessTests.test_comparisons"],
        "DER elements": ["wire/x509/test_costs.py ExcessTests.test_elements"],
        "RSA keys": [
            "tls/situations/costly.py an RSA key that is too long",
            "tls/situations/costly.py an RSA exponent that is too long",
        ],
        "intermediate certificates": [
            "tls/test_client.py VerdictTests.test_manyIntermediates",
            "wire/x509/test_paths.py PathTests.test_depth",
        ],
        "signatures verified": [
            "wire/x509/test_paths.py CostTests.test_crossSigned",
            "wire/x509/test_paths.py CostTests.test_sameNames",
        ],
        "keys tried": ["wire/x509/test_certificates.py RuleTests.test_manyIssuers"],
        "OCSP response": [
            "wire/x509/test_revocation.py StapleTests.test_long",
            "wire/x509/test_revocation.py StapleTests.test_manyResponders",
        ],
        "OCSP response that begins": ["wire/x509/test_revocation.py StapleTests.test_skew"],
        "age of an OCSP": ["wire/x509/test_revocation.py StapleTests.test_age"],
        "RSA key of a server": ["tls/test_identities.py WordsTests.test_short"],
        "warning before": ["tls/test_identities.py ProblemTests.test_dates"],
        "interval of warnings": ["tls/test_identities.py ReportTests.test_daily"],
    },
    "AMF and ByteArray": {
        "AMF: nested": ["wire/amf/test_fuzz.py LimitTests.test_defaultDepth"],
        "AMF: values": ["wire/amf/test_fuzz.py LimitTests.test_items"],
        "AMF: objects": ["wire/amf/test_fuzz.py LimitTests.test_objects"],
        "AMF: text": ["wire/amf/test_fuzz.py LimitTests.test_text"],
        "AMF: encoded": ["wire/amf/test_fuzz.py LimitTests.test_total"],
        "flag bytes": ["wire/amf/test_flex.py HarmTests.test_flags"],
        "ByteArray.uncompress": [
            "wire/test_compression.py CompressionTests.test_limit",
            "test_utils.py CompressionTests.test_corrupt",
        ],
        "memory of LZMA": ["wire/test_compression.py CompressionTests.test_unknownLength"],
        "Objects of registered classes": ["wire/amf/test_flex.py HarmTests.test_limits"],
    },
    "Workers": {
        "worker processes": ["services/test_supervising.py OptionTests.test_number"],
        "time until a worker": ["workers/test_supervisor.py StartTests.test_startTimeout"],
        "interval of checks": ["workers/test_watching.py WatchTests.test_reload"],
        "transferring": ["workers/test_supervisor.py TransferTests.test_timeout"],
        "delay before": [
            "workers/test_supervisor.py StartTests.test_restart",
            "workers/test_loglines.py BackoffTests.test_delays",
        ],
        "stopping": ["workers/test_supervisor.py StopTests.test_kill"],
        "time without a response": ["workers/test_supervisor.py StartTests.test_hang"],
        "log lines of a worker held": ["workers/test_supervisor.py StartTests.test_output"],
        "log of a worker": ["workers/test_loglines.py PipeTests.test_dropped"],
        "log line of a worker": ["workers/test_loglines.py LineBufferTests.test_long"],
        "message between": ["workers/test_link.py InvalidTests.test_tooLong"],
        "response from": ["workers/test_link.py QuestionTests.test_timeout"],
        "unanswered requests": ["workers/test_link.py QuestionTests.test_maxQuestions"],
    },
    "Web pages": {
        "connections": ["live/test_play.py test_maxSiteConnections"],
        "part of a file": ["services/test_play.py DownloadTests.test_oneChunkPerIteration"],
    },
    "Metrics and dashboard": {
        "connections to --metrics": [
            "dashboard/test_adminhttp.py AdminServiceTests.test_maxConnections"
        ],
        "request": [
            "dashboard/test_adminhttp.py AdminServiceTests.test_maxBody",
            "dashboard/test_adminhttp.py AdminServiceTests.test_idle",
        ],
        "connections measured": ["dashboard/test_measuring.py MeasuringTests.test_most"],
        "dashboard token": ["services/test_dashboardoptions.py DashboardOptionTests.test_token"],
        "wrong dashboard tokens": ["dashboard/test_page.py TokenTests.test_guessing"],
        "addresses of wrong": ["dashboard/test_page.py TokenTests.test_guessers"],
        "dashboard streams": ["dashboard/test_streams.py StateTests.test_maxStreams"],
        "clients, rooms and members": [
            "dashboard/test_streams.py StateTests.test_maxShown",
            "dashboard/test_streams.py StateTests.test_manyRooms",
            "dashboard/test_streams.py StateTests.test_maxMembers",
        ],
        "messages shown": ["dashboard/test_streams.py MessageTests.test_limits"],
        "text of a message": ["dashboard/test_streams.py MessageTests.test_limits"],
        "reason for disconnecting": ["dashboard/test_page.py CommandTests.test_reason"],
        "reason for blocking": ["transports/test_blocklist.py BlockTests.test_limits"],
        "clients and rooms in an export": ["dashboard/test_page.py ExportTests.test_limit"],
        "history of the dashboard": ["dashboard/test_history.py HistoryTests.test_since"],
    },
    "Load tests": {
        "bots": ["load/test_command.py OptionTests.test_wrong"],
        "rate of a bot": ["load/test_command.py OptionTests.test_wrong"],
        "connection attempts": ["load/test_loadtest.py RunTests.test_connectRate"],
        "time to connect": ["load/test_loadtest.py FailureTests.test_timeout"],
        "unanswered requests": ["load/test_loadtest.py AnswerTests.test_otherBots"],
        "last answers": ["load/test_loadtest.py AnswerTests.test_noAnswers"],
        "closing all bots": ["load/test_loadtest.py FailureTests.test_notClosing"],
        "different reasons": ["load/test_loadtest.py ReasonsTests.test_limit"],
        "HTTP response": ["protocols/test_websocketclient.py HandshakeTests.test_tooLong"],
    },
    "Log and openfl-telnet": {
        "value in a log line": ["test_logs.py EscapeTests.test_long"],
        "info lines": ["test_logs.py LimitTests.test_frequent"],
        "received text": ["telnetclient/test_prompt.py PromptTerminalTests.test_slowTerminal"],
        "unfinished line": [
            "telnetclient/test_prompt.py PromptTerminalTests.test_longUnfinishedLine",
        ],
        "history": [
            "telnetclient/test_prompt.py FileHistoryTests.test_manyLines",
            "telnetclient/test_prompt.py FileHistoryTests.test_longLines",
        ],
        "closing": ["telnetclient/test_connection.py EndTests.test_serverDoesNotRead"],
        "Further info lines": [
            "test_logs.py LimitTests.test_frequent",
            "test_logs.py LimitTests.test_otherLevels",
        ],
        "On Windows and macOS": ["test_platforms.py SocketLimitTests.test_default"],
        "A connection that exceeds": [
            "transports/test_guard.py LimitTests.test_maxConnections",
            "transports/test_hostlimit.py HostTests.test_hostOf",
            "transports/test_blocking.py ProxyTests.test_proxyProtocol",
        ],
        "In the worst case": [
            "rooms/test_lobby.py ResumeTests.test_bounded",
            "rooms/test_lobby.py ResumeTests.test_keptOnce",
        ],
    },
    "Invalid and incomplete input": {
        "Text that is not UTF-8": [
            "wire/test_text.py DecodeUTF8Tests.test_anyBytes",
            "protocols/test_xmlsocket.py LimitTests.test_notUTF8",
            "protocols/test_xmlsocket.py BroadcastTests.test_forwarded",
            "rooms/test_roomprotocol.py PathTests.test_validUTF8",
        ],
        "An incomplete message": [
            "protocols/test_xmlsocket.py LimitTests.test_incompleteMessage",
        ],
        "A client that sends an incomplete policy": [
            "protocols/test_oneport.py PlainTests.test_incompleteRequest",
            "protocols/test_clienttypes.py HTTPTests.test_incomplete",
        ],
    },
    "Slow clients and backpressure": {
        "A client that does not read": [
            "protocols/test_xmlsocket.py BroadcastTests.test_slowReader",
        ],
        "in the send queue": ["transports/test_buffered.py QueueTests.test_held"],
        "nowhere else": ["transports/test_buffered.py QueueTests.test_cutOff"],
        "broadcast writes": ["protocols/test_xmlsocket.py BroadcastTests.test_slowReader"],
        "In the other direction": [
            "protocols/test_asynchandlers.py OrderTests.test_fastClient",
            "net/test_xmlsocket.py MessagesTests.test_backpressure",
            "net/test_xmlsocket.py MessagesTests.test_pausedWhileFull",
        ],
        "The bridge applies": [
            "protocols/test_bridge.py BridgeTests.test_slowClient",
            "protocols/test_bridge.py BridgeTests.test_slowServer",
            "rooms/test_roomprotocol.py NodeTests.test_backpressure",
        ],
    },
    "Sessions": {
        "recording of one connection": ["sessions/test_recorder.py EndTests.test_sessionLimit"],
        "recordings of a run": ["sessions/test_recorder.py EndTests.test_runLimit"],
        "recorded data": ["sessions/test_writer.py SlowDiskTests.test_gap"],
        "batch": ["sessions/test_writer.py SlowDiskTests.test_batches"],
        "rest of a recording": ["sessions/test_writer.py SlowDiskTests.test_stop"],
        "incomplete message": ["sessions/test_hiding.py HidingTests.test_longShown"],
        "session files": [
            "sessions/test_writer.py FileTests.test_openFiles",
            "sessions/test_writer.py FileTests.test_manyConnections",
        ],
        "line of a session": ["sessions/test_session.py ErrorTests.test_longLine"],
        "AMF value": ["wire/test_dialects.py LinearTests.test_tooLong"],
        "message shown": ["wire/test_dialects.py ShowTests.test_long"],
        "pause before": ["sessions/test_script.py TurnTests.test_pause"],
        "waiting for": ["sessions/test_player.py RunTests.test_timeout"],
    },
}

PROMISES: dict[str, dict[str, dict[str, list[str]]]] = {
    "security.rst": SECURITY,
    "oneport.rst": ONEPORT,
    "certificates.rst": CERTIFICATES,
    "limits.rst": LIMITS,
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
    "certificates.rst": {
        "Cost limits": {"The time for a CRL": "says why there is no limit"},
    },
    "limits.rst": {
        "Slow clients and backpressure": {
            "in the buffers of the kernels": "this package has no influence on them",
        },
    },
}
