"""
The members of the OpenFL-compatible classes: each class has the members of OpenFL or
Flash, and others only if they are listed with a reason.

To add a class, add a L{Members} to L{CLASSES}, and its name to L{MODULES}.
"""

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors, events, net, security, system, utils
from openfl_twisted.net import DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.net._handlers import _Handler
from tests.laboratory import BEGIN, END, authority

ANY = object()
"""
An unspecified default.
"""


@dataclass
class Members:
    """
    The public members of a class.

    @ivar cls: the class.
    @ivar make: creates an instance; returns the class itself if it is not instantiated.
    @ivar extends: the classes of this table that it extends.
    @ivar new: the parameters of the constructor, in order.
    @ivar constants: constants of the class, including the types of its events.
    @ivar readOnly: read-only properties, with their initial values.
    @ivar properties: writable properties, with their initial values.
    @ivar methods: methods, with their parameters.
    @ivar own: members that neither OpenFL nor Flash has, with the reason.
    @ivar missing: members of OpenFL or Flash that this class lacks, with the reason.
    """

    cls: type[Any]
    make: Callable[[], Any] | None = None
    extends: tuple[type[Any], ...] = ()
    new: str | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    readOnly: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """
        The members that the class should define, without inherited ones.
        """
        return {*self.constants, *self.readOnly, *self.properties, *self.methods, *self.own}


def at(make: Callable[..., Any]) -> Callable[[], Any]:
    """
    Return a constructor of instances with an in-memory reactor.
    """
    return lambda: make(reactor=MemoryReactorClock())


def parametersOf(function: Callable[..., Any]) -> str:
    return ", ".join(
        ("*" if each.kind is each.VAR_POSITIONAL else "")
        + each.name
        + ("" if each.default is each.empty else f"={each.default!r}")
        for each in inspect.signature(function).parameters.values()
        if each.kind is not each.KEYWORD_ONLY and each.name != "self"
    )


def keywordsOf(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


EVENT = "type, bubbles=False, cancelable=False"
ERROR_EVENT = f"{EVENT}, text='', id=0"
TESTABLE = "for tests without a network"
AWAITED = "Deferreds as an alternative to events"
LONG = "ByteArray has it in OpenFL; here all readers and writers have it"

READS = {
    "readBoolean": "",
    "readByte": "",
    "readBytes": "bytes, offset=0, length=0",
    "readDouble": "",
    "readFloat": "",
    "readInt": "",
    "readMultiByte": "length, charSet",
    "readObject": "",
    "readShort": "",
    "readUnsignedByte": "",
    "readUnsignedInt": "",
    "readUnsignedShort": "",
    "readUTF": "",
    "readUTFBytes": "length",
}
WRITES = {
    "writeBoolean": "value",
    "writeByte": "value",
    "writeBytes": "bytes, offset=0, length=0",
    "writeDouble": "value",
    "writeFloat": "value",
    "writeInt": "value",
    "writeMultiByte": "value, charSet",
    "writeObject": "object",
    "writeShort": "value",
    "writeUnsignedInt": "value",
    "writeUTF": "value",
    "writeUTFBytes": "value",
}
DISPATCHES = {
    "addEventListener": ("type, listener, useCapture=False, priority=0, useWeakReference=False"),
    "removeEventListener": "type, listener, useCapture=False",
    "dispatchEvent": "event",
    "hasEventListener": "type",
    "willTrigger": "type",
}
BOUND = {"bound": False, "localAddress": None, "localPort": 0}

CLASSES = [
    # net
    Members(
        Socket,
        at(Socket),
        extends=(events.EventDispatcher, utils.IDataInput, utils.IDataOutput),
        new="host=None, port=0",
        readOnly={
            "bytesAvailable": 0,
            "bytesPending": 0,
            "connected": False,
            "localAddress": None,
            "localPort": 0,
            "remoteAddress": None,
            "remotePort": 0,
        },
        properties={"endian": "bigEndian", "objectEncoding": 3, "timeout": 20000},
        methods={"connect": "host, port", "close": "", "flush": "", **READS, **WRITES},
        own={
            "accepted": "constructor used by ServerSocket",
            "autoflush": "Flash's behavior depends on the platform",
            "maxUnread": "every buffer has a limit",
            "reactor": TESTABLE,
            "whenClosed": AWAITED,
            "whenConnected": AWAITED,
        },
        missing={"secure": "OpenFL hides it, and has it in browsers only"},
    ),
    Members(
        SecureSocket,
        at(SecureSocket),
        extends=(Socket,),
        new="",
        constants={"isSupported": True},
        readOnly={"serverCertificate": None, "serverCertificateStatus": "unknown"},
        methods={"addBinaryChainBuildingCertificate": "certificate, trusted"},
        own={
            "refusedCertificate": "AIR does not show it, and one wants to know",
            "trust": "the trust anchors depend on the platform",
            "verdict": "why a certificate was refused",
        },
    ),
    Members(
        XMLSocket,
        at(XMLSocket),
        extends=(events.EventDispatcher,),
        new="host=None, port=0",
        readOnly={"connected": False},
        properties={"timeout": 20000},
        methods={"connect": "host, port", "close": "", "send": "object"},
        own={
            "maxLength": "every buffer has a limit",
            "messages": AWAITED,
            "pauseReading": "backpressure",
            "reactor": TESTABLE,
            "resumeReading": "as pauseReading",
            "whenClosed": AWAITED,
            "whenConnected": AWAITED,
        },
    ),
    Members(
        ServerSocket,
        at(ServerSocket),
        extends=(events.EventDispatcher,),
        new="",
        constants={"isSupported": True},
        readOnly={**BOUND, "listening": False},
        methods={
            "bind": "localPort=0, localAddress='0.0.0.0'",
            "listen": "backlog=0",
            "close": "",
        },
        own={"reactor": TESTABLE},
    ),
    Members(
        DatagramSocket,
        at(DatagramSocket),
        extends=(events.EventDispatcher,),
        new="",
        constants={"isSupported": True},
        readOnly={**BOUND, "connected": False, "remoteAddress": None, "remotePort": 0},
        methods={
            "bind": "localPort=0, localAddress='0.0.0.0'",
            "connect": "remoteAddress, remotePort",
            "receive": "",
            "send": "bytes, offset=0, length=0, address=None, port=0",
            "close": "",
        },
        own={
            "reactor": TESTABLE,
            **dict.fromkeys(
                ("broadcast", "joinGroup", "leaveGroup", "multicastInterface", "multicastTTL"),
                "broadcast and multicast, beyond AIR",
            ),
        },
    ),
    Members(net.IPVersion, constants={"IPV4": "IPv4", "IPV6": "IPv6"}),
    Members(
        net.ObjectEncoding,
        constants={"AMF0": 0, "AMF3": 3, "DEFAULT": 3},
        properties={"dynamicPropertyWriter": None},
        missing={"HXSF": "not supported", "JSON": "not supported"},
    ),
    Members(net.IDynamicPropertyWriter, methods={"writeDynamicProperties": "obj, output"}),
    Members(net.IDynamicPropertyOutput, methods={"writeDynamicProperty": "name, value"}),
    # utils
    Members(
        utils.IDataInput,
        readOnly={"bytesAvailable": ANY},
        properties={"endian": ANY, "objectEncoding": ANY},
        methods=READS,
        own={
            "readInt64": LONG,
            "amfLimits": "limits of received values",
        },
    ),
    Members(
        utils.IDataOutput,
        properties={"endian": ANY, "objectEncoding": ANY},
        methods=WRITES,
        own={"writeInt64": LONG},
    ),
    Members(utils.IExternalizable, methods={"writeExternal": "output", "readExternal": "input"}),
    Members(utils.Endian, constants={"BIG_ENDIAN": "bigEndian", "LITTLE_ENDIAN": "littleEndian"}),
    Members(
        utils.CompressionAlgorithm,
        constants={"DEFLATE": "deflate", "LZMA": "lzma", "ZLIB": "zlib"},
    ),
    Members(
        utils.ByteArray,
        utils.ByteArray,
        extends=(utils.IDataInput, utils.IDataOutput),
        new="length=0",
        readOnly={"bytesAvailable": 0},
        properties={
            "defaultEndian": "bigEndian",
            "defaultObjectEncoding": 3,
            "endian": "bigEndian",
            "length": 0,
            "objectEncoding": 3,
            "position": 0,
        },
        methods={
            "clear": "",
            "compress": "algorithm='zlib'",
            "deflate": "",
            "inflate": "",
            "toString": "",
            "uncompress": "algorithm='zlib'",
            # OpenFL's.
            "readInt64": "",
            "writeInt64": "value",
        },
        own={
            "maxUncompressed": "every buffer has a limit",
            **dict.fromkeys(
                {name for name in dir(bytearray) if name[0] != "_"} - {"clear"},
                "it is a bytearray",
            ),
        },
        missing={"shareable": "for the workers of AIR"},
    ),
    # events
    Members(
        events.Event,
        lambda: events.Event("a"),
        new=EVENT,
        constants={"CLOSE": "close", "COMPLETE": "complete", "CONNECT": "connect", "OPEN": "open"},
        readOnly={
            "type": "a",
            "bubbles": False,
            "cancelable": False,
            "target": None,
            "currentTarget": None,
            "eventPhase": 2,
        },
        methods={
            "clone": "",
            "formatToString": "className, *names",
            "isDefaultPrevented": "",
            "preventDefault": "",
            "stopImmediatePropagation": "",
            "stopPropagation": "",
            "toString": "",
        },
    ),
    Members(
        events.ProgressEvent,
        lambda: events.ProgressEvent("a"),
        extends=(events.Event,),
        new=f"{EVENT}, bytesLoaded=0, bytesTotal=0",
        constants={"PROGRESS": "progress", "SOCKET_DATA": "socketData"},
        properties={"bytesLoaded": 0, "bytesTotal": 0},
    ),
    Members(
        events.OutputProgressEvent,
        lambda: events.OutputProgressEvent("a"),
        extends=(events.Event,),
        new=f"{EVENT}, bytesPending=0, bytesTotal=0",
        constants={"OUTPUT_PROGRESS": "outputProgress"},
        properties={"bytesPending": 0, "bytesTotal": 0},
    ),
    Members(
        events.TextEvent,
        lambda: events.TextEvent("a"),
        extends=(events.Event,),
        new=f"{EVENT}, text=''",
        properties={"text": ""},
    ),
    Members(
        events.ErrorEvent,
        lambda: events.ErrorEvent("a"),
        extends=(events.TextEvent,),
        new=ERROR_EVENT,
        constants={"ERROR": "error"},
        readOnly={"errorID": 0},
    ),
    Members(
        events.IOErrorEvent,
        lambda: events.IOErrorEvent("a"),
        extends=(events.ErrorEvent,),
        new=ERROR_EVENT,
        constants={"IO_ERROR": "ioError"},
    ),
    Members(
        events.SecurityErrorEvent,
        lambda: events.SecurityErrorEvent("a"),
        extends=(events.ErrorEvent,),
        new=ERROR_EVENT,
        constants={"SECURITY_ERROR": "securityError"},
    ),
    Members(
        events.DataEvent,
        lambda: events.DataEvent("a"),
        extends=(events.TextEvent,),
        new=f"{EVENT}, data=''",
        constants={"DATA": "data", "UPLOAD_COMPLETE_DATA": "uploadCompleteData"},
        properties={"data": ""},
    ),
    Members(
        events.ServerSocketConnectEvent,
        lambda: events.ServerSocketConnectEvent("a"),
        extends=(events.Event,),
        new=f"{EVENT}, socket=None",
        constants={"CONNECT": "connect"},
        properties={"socket": None},
    ),
    Members(
        events.DatagramSocketDataEvent,
        lambda: events.DatagramSocketDataEvent("a"),
        extends=(events.Event,),
        new=f"{EVENT}, srcAddress='', srcPort=0, dstAddress='', dstPort=0, data=None",
        constants={"DATA": "data"},
        properties={
            "srcAddress": "",
            "srcPort": 0,
            "dstAddress": "",
            "dstPort": 0,
            "data": None,
        },
    ),
    Members(
        events.EventPhase,
        constants={"CAPTURING_PHASE": 1, "AT_TARGET": 2, "BUBBLING_PHASE": 3},
    ),
    Members(events.IEventDispatcher, methods=DISPATCHES),
    Members(
        events.EventDispatcher,
        events.EventDispatcher,
        new="target=None",
        methods={**DISPATCHES, "toString": ""},
    ),
    # errors
    Members(
        errors.Error,
        errors.Error,
        new="message='', errorID=0",
        readOnly={"errorID": 0, "name": "Error"},
        properties={"message": ""},
        methods={"getStackTrace": ""},
        own={
            "numbered": "central table of texts",
            **dict.fromkeys(
                {name for name in dir(Exception) if name[0] != "_"}, "it is an exception"
            ),
        },
        missing={"toString": "Python uses str()"},
    ),
    # security
    Members(
        security.CertificateStatus,
        constants={
            "EXPIRED": "expired",
            "INVALID": "invalid",
            "INVALID_CHAIN": "invalidChain",
            "NOT_YET_VALID": "notYetValid",
            "PRINCIPAL_MISMATCH": "principalMismatch",
            "REVOKED": "revoked",
            "TRUSTED": "trusted",
            "UNKNOWN": "unknown",
            "UNTRUSTED_SIGNERS": "untrustedSigners",
        },
    ),
    Members(
        security.X509Certificate,
        lambda: security.X509Certificate(authority().certificate),
        new="certificate",
        readOnly={
            "encoded": ANY,
            "issuer": ANY,
            "issuerUniqueID": None,
            "serialNumber": ANY,
            "signatureAlgorithmOID": "1.2.840.10045.4.3.2",
            "signatureAlgorithmParams": None,
            "subject": ANY,
            "subjectPublicKey": ANY,
            "subjectPublicKeyAlgorithmOID": "1.2.840.10045.2.1",
            "subjectUniqueID": None,
            "validNotAfter": END,
            "validNotBefore": BEGIN,
            "version": 2,
        },
    ),
    Members(
        security.X500DistinguishedName,
        lambda: security.X500DistinguishedName(authority().certificate.subject),
        new="name",
        readOnly={
            "commonName": "Root",
            "countryName": None,
            "localityName": None,
            "organizationName": None,
            "organizationalUnitName": None,
            "stateOrProvinceName": None,
        },
        methods={"toString": ""},
    ),
    # system
    Members(
        system.Security,
        constants={
            "REMOTE": "remote",
            "LOCAL_WITH_FILE": "localWithFile",
            "LOCAL_WITH_NETWORK": "localWithNetwork",
            "LOCAL_TRUSTED": "localTrusted",
            "APPLICATION": "application",
        },
        properties={"sandboxType": "application", "exactSettings": True, "pageDomain": None},
        methods={
            "allowDomain": "*domains",
            "allowInsecureDomain": "*domains",
            "loadPolicyFile": "url",
        },
        own={
            "swfURL": "LoaderInfo.url in Flash; requires a display list",
            "policyFiles": "the URLs passed to loadPolicyFile",
        },
        missing={
            "showSettings": "requires Flash Player",
        },
    ),
]

MODULES: list[tuple[ModuleType, dict[str, str]]] = [
    # Additional public names of the modules, with the reason.
    (
        net,
        {
            "registerClassAlias": "flash.net has it",
            "forgetPolicyFiles": "Flash Player drops them when it exits",
        },
    ),
    (utils, {"classAliases": "the registered classes"}),
    (
        events,
        {
            "eventTypes": "the events of a socket",
            "setReporter": "reports unhandled errors",
            "setRunner": "runs asynchronous listeners",
            "reportError": "reports errors of asynchronous listeners",
        },
    ),
    (
        errors,
        {
            "MESSAGES": "central table of texts",
            "messageOf": "central table of texts",
            **dict.fromkeys(
                (
                    "ArgumentError",
                    "EOFError",
                    "IOError",
                    "IllegalOperationError",
                    "MemoryError",
                    "RangeError",
                    "SecurityError",
                    "TypeError",
                ),
                "as Error",
            ),
        },
    ),
    (security, {}),
    (system, {}),
]

ROOMS = {members.cls: members for members in CLASSES}


def familyOf(members: Members) -> list[Members]:
    """
    Return the members of a class and of the classes that it extends.
    """
    family = [members]
    for base in members.extends:
        family += familyOf(ROOMS[base])
    return family


def publicNames(thing: object) -> set[str]:
    """
    Return the names without a leading underscore. C{dir} also lists the handlers that sockets
    refuse.
    """
    return {
        name
        for name in dir(thing)
        if not name.startswith("_")
        and not isinstance(inspect.getattr_static(thing, name, None), _Handler)
    }


def definedIn(module: ModuleType) -> set[str]:
    """
    Return the names that a module defines itself.
    """
    found = set()
    for node in ast.parse(inspect.getsource(module)).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                found.add(node.name)
            case (
                ast.Assign(targets=[ast.Name() as target])
                | ast.AnnAssign(target=ast.Name() as target)
            ):
                found.add(target.id)
    return {name for name in found if not name.startswith("_")}


class MemberTests(SynchronousTestCase):
    """
    Compares the table with the classes.
    """

    def test_names(self) -> None:
        """
        Each class has exactly the members of the table.
        """
        for members in CLASSES:
            thing = members.make() if members.make else members.cls
            expected = {name for each in familyOf(members) for name in each.names}
            # Parameters of the constructor are compared separately.
            expected -= keywordsOf(members.cls.__init__) - publicNames(thing)
            self.assertEqual(publicNames(thing), expected, members.cls)

    def test_missing(self) -> None:
        """
        Members listed as missing are missing, so that the reasons are up to date.
        """
        for members in CLASSES:
            for name, reason in members.missing.items():
                self.assertFalse(hasattr(members.cls, name), (members.cls, name))
                self.assertNotEqual(reason, "")

    def test_bases(self) -> None:
        """
        Each class is a subclass of those that it extends.
        """
        for members in CLASSES:
            for base in members.extends:
                self.assertTrue(issubclass(members.cls, base), (members.cls, base))

    def test_constructors(self) -> None:
        """
        Each constructor has the positional parameters of the table in order, and others
        by keyword only.
        """
        for members in CLASSES:
            if members.new is not None:
                constructor = members.cls.__init__
                self.assertEqual(parametersOf(constructor), members.new, members.cls)
                own = {name for each in familyOf(members) for name in each.own}
                self.assertLessEqual(keywordsOf(constructor), own, members.cls)

    def test_constants(self) -> None:
        """
        Each constant is a class attribute with its value and type.
        """
        for members in CLASSES:
            for name, value in members.constants.items():
                found = inspect.getattr_static(members.cls, name)
                self.assertEqual((found, type(found)), (value, type(value)), (members.cls, name))

    def test_properties(self) -> None:
        """
        Each property has its initial value, and is writable or read-only.
        """
        for members in CLASSES:
            thing = members.make() if members.make else members.cls
            for settable, properties in [(False, members.readOnly), (True, members.properties)]:
                for name, value in properties.items():
                    where = (members.cls, name)
                    if value is not ANY:
                        found = getattr(thing, name)
                        self.assertEqual((found, type(found)), (value, type(value)), where)
                    made = inspect.getattr_static(members.cls, name, None)
                    isReadOnly = isinstance(made, property) and made.fset is None
                    self.assertEqual(isReadOnly, not settable, where)

    def test_methods(self) -> None:
        """
        Each method has its parameters, with their names, order and defaults.
        """
        for members in CLASSES:
            for name, parameters in members.methods.items():
                method = getattr(members.cls, name)
                self.assertEqual(parametersOf(method), parameters, (members.cls, name))

    def test_modules(self) -> None:
        """
        Each module has the classes of the table, and other names only if they are
        listed.
        """
        placed: set[str] = set()
        for module, others in MODULES:
            public = set(getattr(module, "__all__", definedIn(module)))
            classes = {cls.__name__ for cls in ROOMS if vars(module).get(cls.__name__) is cls}
            placed |= classes
            self.assertEqual(public, classes & public | set(others), module.__name__)
        self.assertEqual(placed, {cls.__name__ for cls in ROOMS})
