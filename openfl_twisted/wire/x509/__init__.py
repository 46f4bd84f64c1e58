"""
X.509 certificates of servers: what verification found, and what that means.

  - L{certificates<openfl_twisted.wire.x509.certificates>}: derives one
    C{CertificateStatus} from all findings.
    L{verifycodes<openfl_twisted.wire.x509.verifycodes>} has the codes of OpenSSL.
  - L{paths<openfl_twisted.wire.x509.paths>}: certificate paths to a trust anchor,
    verified a second time.
    L{costs<openfl_twisted.wire.x509.costs>} limits the work for it.
  - L{revocation<openfl_twisted.wire.x509.revocation>}: OCSP responses and CRLs.
  - L{servernames<openfl_twisted.wire.x509.servernames>}: whether a certificate is
    for a host.
  - L{der<openfl_twisted.wire.x509.der>}: elements of a DER structure.
"""
