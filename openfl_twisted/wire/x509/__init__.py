"""
X.509 certificates of servers: findings of the verification, and the resulting status.

  - L{certificates<openfl_twisted.wire.x509.certificates>}: derives one C{CertificateStatus}
    from all findings. L{verifycodes<openfl_twisted.wire.x509._verifycodes>} contains OpenSSL's
    codes.
  - L{paths<openfl_twisted.wire.x509._paths>}: finds certificate paths to a trust anchor, and
    verifies a path a second time. L{costs<openfl_twisted.wire.x509._costs>} limits the cost of
    the verification.
  - L{revocation<openfl_twisted.wire.x509._revocation>}: OCSP responses and CRLs.
  - L{servernames<openfl_twisted.wire.x509._servernames>}: server names, and whether a
    certificate matches a name.
  - L{der<openfl_twisted.wire.x509._der>}: elements of a DER structure.
"""
