"""
The TLS 1.2 cipher suites of clients and servers.
"""

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""
The TLS 1.2 cipher suites that clients offer and servers accept: only suites with
forward secrecy and authenticated encryption. All TLS 1.3 suites have both.
"""
