"""
The messages with which a TLS server answers.
"""

import struct


def record(kind: int, body: bytes) -> bytes:
    """
    Encode a handshake message as one or more TLS records.
    """
    message = struct.pack(">B", kind) + len(body).to_bytes(3) + body
    return b"".join(
        b"\x16\x03\x03" + struct.pack(">H", len(chunk)) + chunk
        for chunk in (message[start : start + 16384] for start in range(0, len(message), 16384))
    )


def flight(chain: list[bytes], cipher: int) -> bytes:
    """
    Encode the messages of a TLS 1.2 server up to its certificate, which requires no key.
    """
    hello = b"\x03\x03" + bytes(32) + b"\0" + struct.pack(">HB", cipher, 0)
    extensions = b"\xff\x01\x00\x01\x00"
    hello += struct.pack(">H", len(extensions)) + extensions
    certificates = b"".join(len(der).to_bytes(3) + der for der in chain)
    return record(2, hello) + record(11, len(certificates).to_bytes(3) + certificates)
