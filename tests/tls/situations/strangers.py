"""
Servers without a certificate to verify: they do not support TLS, or no common version
or cipher suite.
"""

from functools import partial

from OpenSSL import SSL

from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.laboratory import server
from tests.tls.handshakes import Presenting, Script, showing
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, Scene, Situation, trusting

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
TRUST = trusting(ROOT)
RECORD = b"\x16\x03\x03"
ALERT = b"\x15\x03\x03\0\2\2"
END = b"\x15\x03\x03\0\2\1\0"
SHOWN = showing(LEAF.der, INTERMEDIATE.der).line

SCRIPTS: dict[str, tuple[Script, str]] = {
    "a connection closed immediately": (Script(b"", banner=True), ""),
    "a connection closed for an answer": (Script(b""), ""),
    "an answer of HTTP": (Script(HTTP), "does not speak TLS"),
    "a banner of SSH": (Script(b"SSH-2.0-OpenSSH_9.6\r\n", banner=True), "does not speak TLS"),
    "a policy file": (
        Script(b'<?xml version="1.0"?><cross-domain-policy/>\0'),
        "does not speak TLS",
    ),
    "a greeting that is kept open": (
        Script(b"Enter EXIT to exit.\r\n", banner=True, closes=False),
        "does not speak TLS",
    ),
    "zeros": (Script(bytes(1000)), "does not speak TLS"),
    "noise": (Script(bytes(range(255, 0, -1)) * 4), "does not speak TLS"),
    "a record that never ends": (Script(RECORD + b"\x40\0" + bytes(100)), ""),
    "a record that is too long": (Script(RECORD + b"\xff\xff" + bytes(100)), ""),
    "an empty record": (Script(RECORD + b"\0\0"), ""),
    "an unknown message": (Script(RECORD + b"\0\4\xfe\0\0\0"), ""),
    "a message that is too long": (Script(RECORD + b"\0\4\2\xff\xff\xff"), ""),
    "a version of SSL": (Script(b"\x16\3\0\0\4\2\0\0\0"), ""),
    "an alert": (Script(ALERT + b"\x28"), ""),
    "an alert for the version": (Script(ALERT + b"\x46"), "supports neither TLS 1.2 nor TLS 1.3"),
    "an alert for the name": (Script(ALERT + b"\x70"), ""),
    "a close_notify": (Script(END), ""),
    "a close_notify after a certificate": (Script(SHOWN + END, closes=False), ""),
    "an alert after a certificate": (Script(SHOWN + ALERT + b"\x28", closes=False), "alert"),
    "a connection closed after a certificate": (Script(SHOWN), ""),
}

PRESENTING = {
    "only TLS 1.1": Presenting.of(LEAF, version=SSL.TLS1_1_VERSION),
    "only TLS 1.0": Presenting.of(LEAF, version=SSL.TLS1_VERSION),
    "no cipher in common": Presenting.of(
        server(ROOT, name="RSA", kind="RSA"),
        version=SSL.TLS1_2_VERSION,
        ciphers=b"ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
}

SITUATIONS = [
    *(
        Situation(name, CertificateStatus.UNKNOWN, partial(Scene, script, TRUST), says)
        for name, (script, says) in SCRIPTS.items()
    ),
    *(
        Situation(name, CertificateStatus.UNKNOWN, partial(Scene, presenting, TRUST))
        for name, presenting in PRESENTING.items()
    ),
]
