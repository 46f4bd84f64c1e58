"""
Host names in certificates.
"""

from functools import partial

from cryptography import x509

from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import Names, malformedNames
from tests.laboratory import HOST, server, tlv
from tests.tls.situations.scenes import INTERMEDIATE, Scene, Situation, exhibit, scene


def named(host: str, names: Names) -> Scene:
    """
    Connect to a host whose certificate has the given names.
    """
    return scene(server(INTERMEDIATE, names=names), host=host)


def nameless(host: str, commonName: str) -> Scene:
    """
    A server whose certificate only has a common name.
    """
    leaf = server(INTERMEDIATE, name=commonName, without=[x509.SubjectAlternativeName])
    return scene(leaf, host=host)


def malformed(content: bytes) -> Scene:
    """
    A server with malformed names.
    """
    return exhibit(server(INTERMEDIATE, malformedNames(content)))


def utf8(host: str) -> Scene:
    """
    A server with the requested name in UTF-8, where RFC 5280 requires ASCII.
    """
    content = tlv(0x30, tlv(0x82, host.encode()))
    return scene(server(INTERMEDIATE, malformedNames(content)), host=host)


LONG = ".".join(["a" * 63] * 3 + ["b" * 61])

MATCHING: dict[str, tuple[str, Names]] = {
    "the very name": (HOST, [HOST]),
    "the last of several names": (HOST, ["a.example", "10.0.0.1", HOST]),
    "a thousand other names": (HOST, [*(f"n{number}.example" for number in range(1000)), HOST]),
    "a wildcard": (HOST + ".test", ["*.example.test"]),
    "a wildcard in capitals": (HOST + ".test", ["*.EXAMPLE.test"]),
    "capitals requested": ("GAMES.Example", [HOST]),
    "capitals in the certificate": (HOST, ["Games.EXAMPLE"]),
    "a dot at the end": (HOST + ".", [HOST]),
    "one label": ("localhost", ["localhost"]),
    "one label and a dot": ("localhost.", ["localhost"]),
    "an umlaut": ("bücher.example", ["xn--bcher-kva.example"]),
    "an umlaut in capitals": ("BÜCHER.example", ["xn--bcher-kva.example"]),
    "a name in its ASCII form": ("xn--bcher-kva.example", ["xn--bcher-kva.example"]),
    "an umlaut below a wildcard": ("bücher.lab.example", ["*.lab.example"]),
    "another script": ("\u4f8b\u5b50\u3002example", ["xn--fsqu00a.example"]),
    "an emoji": ("\U0001f4a9.example", ["xn--ls8h.example"]),
    "an underscore": ("my_service.example", ["my_service.example"]),
    "an underscore below a wildcard": ("my_service.lab.example", ["*.lab.example"]),
    "digits": ("1.example", ["1.example"]),
    "a very long name": (LONG, [LONG]),
    "an address": ("127.0.0.1", ["127.0.0.1"]),
    "an address among names": ("127.0.0.1", [HOST, "*.example.test", "127.0.0.1"]),
    "an address of version 6": ("::1", ["::1"]),
    "an address in brackets": ("[2001:db8::1]", ["2001:db8::1"]),
    "an address in another spelling": ("2001:DB8:0:0::1", ["2001:db8::1"]),
    "an address of one link": ("fe80::1%eth0", ["fe80::1"]),
}

OTHER: dict[str, tuple[str, Names]] = {
    "another name": (HOST, ["attacker.example"]),
    "a name below": (HOST, ["www." + HOST]),
    "a name above": ("www." + HOST, [HOST]),
    "a name that ends alike": ("evil" + HOST, [HOST]),
    "a name that begins alike": (HOST + ".evil.example", [HOST]),
    "only a star": (HOST, ["*"]),
    "a star and one label": (HOST, ["*.example"]),
    "a star in the middle": ("a.b.example", ["a.*.example"]),
    "a star in part of a label": ("files.lab.example", ["f*.lab.example"]),
    "a star behind part of a label": ("files.lab.example", ["*s.lab.example"]),
    "a star in the ASCII form": ("bücher.lab.example", ["xn--*.lab.example"]),
    "two stars": ("a.b.example.test", ["*.*.example.test"]),
    "two labels for one star": ("a.b.example.test", ["*.example.test"]),
    "no label for a star": ("example.test", ["*.example.test"]),
    "an address as a name": ("127.0.0.1", ["localhost", x509.DNSName("127.0.0.1")]),
    "an address below a star": ("127.0.0.1", [x509.DNSName("*.0.0.1")]),
    "another address": ("127.0.0.1", ["127.0.0.2"]),
    "an address of the other version": ("::ffff:127.0.0.1", ["127.0.0.1"]),
    "a name where an address is": (HOST, ["127.0.0.1"]),
    "an address where a name is": ("127.0.0.1", [HOST]),
    "only a mail address": (HOST, [x509.RFC822Name("games@games.example")]),
    "only a link": (HOST, [x509.UniformResourceIdentifier("https://games.example/")]),
    "a name that ends with zero": (HOST, [HOST + "\0.evil.example"]),
    "a name with a space": (HOST, [HOST + " "]),
    "no name in the list of names": (HOST, []),
    "an emoji requested": ("\U0001f4a9.example", [HOST]),
    "the letters of another script": ("g\u0430mes.example", [HOST]),
    "a zero requested": (HOST + "\0.evil.example", [HOST]),
    "nothing requested": ("", [HOST]),
    "a space requested": ("games .example", ["games .example"]),
    "an empty label requested": ("games..example", ["games..example"]),
    "a star requested": ("*.example.test", ["*.example.test"]),
    "a requested name that is too long": (LONG + "b", [HOST]),
    "a requested label that is too long": ("a" * 64 + ".example", [HOST]),
}

SITUATIONS = [
    *(
        Situation(f"named by {name}", CertificateStatus.TRUSTED, partial(named, *names))
        for name, names in MATCHING.items()
    ),
    *(
        Situation(
            f"misnamed by {name}",
            CertificateStatus.PRINCIPAL_MISMATCH,
            partial(named, *names),
            "is not valid for this server name",
        )
        for name, names in OTHER.items()
    ),
    Situation(
        "names of other servers",
        CertificateStatus.PRINCIPAL_MISMATCH,
        lambda: named(HOST, ["a.example", "10.0.0.1"]),
        f"hostname mismatch (not valid for {HOST!r}; valid for a.example, 10.0.0.1)",
    ),
    Situation(
        "a common name only", CertificateStatus.PRINCIPAL_MISMATCH, lambda: nameless(HOST, HOST)
    ),
    Situation(
        "a common name only that is an address",
        CertificateStatus.PRINCIPAL_MISMATCH,
        lambda: nameless("127.0.0.1", "127.0.0.1"),
    ),
    Situation(
        "a common name of another server and no other",
        CertificateStatus.PRINCIPAL_MISMATCH,
        lambda: nameless(HOST, "attacker.example"),
    ),
    Situation(
        "a common name in addition to names",
        CertificateStatus.PRINCIPAL_MISMATCH,
        lambda: scene(server(INTERMEDIATE, names=["attacker.example"], name=HOST)),
    ),
    Situation("no name at all", CertificateStatus.PRINCIPAL_MISMATCH, lambda: nameless(HOST, "")),
    Situation("names that are no list", CertificateStatus.INVALID, lambda: malformed(b"garbage")),
    Situation(
        "a TLS feature with an unknown number",
        CertificateStatus.INVALID,
        lambda: scene(
            server(
                INTERMEDIATE,
                x509.UnrecognizedExtension(x509.TLSFeature.oid, tlv(0x30, b"\2\1\4")),
            )
        ),
    ),
    Situation(
        "names that end early", CertificateStatus.INVALID, lambda: malformed(b"\x30\x05\x82")
    ),
    Situation(
        "a name in UTF-8",
        CertificateStatus.PRINCIPAL_MISMATCH,
        lambda: utf8("bücher.example"),
    ),
    Situation(
        "a name that is an emoji",
        CertificateStatus.PRINCIPAL_MISMATCH,
        lambda: utf8("\U0001f4a9.example"),
    ),
    Situation(
        "an address of five bytes",
        CertificateStatus.INVALID,
        lambda: malformed(tlv(0x30, tlv(0x87, b"\x7f\0\0\1\0"))),
    ),
]
