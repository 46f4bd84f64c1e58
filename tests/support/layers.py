"""
The layers of the package.
"""

LAYERS: dict[str, list[set[str]]] = {
    "commands": [{"services", "telnetclient", "load", "sessioncommand"}],
    "add-ons": [
        {"pytestplugin"},
        {"dashboard", "testing"},
        {"brokers", "workers"},
    ],
    "APIs": [
        {"net", "rooms", "endpoints", "dispatch", "running"},
        {"sessions"},
        {"events", "security", "system"},
        {"utils"},
        {"errors"},
    ],
    "Protocol and Factory": [{"protocols"}],
    "plumbing": [
        {"reactors"},
        {"transports"},
        {"tls"},
        {"clocks", "commandline", "hostnames", "logs"},
        {"addresses", "coroutines", "lazyimports", "overrides", "similar", "types"},
    ],
    "bytes": [{"wire"}],
}
"""
The rows of each layer, from top to bottom. A package or module imports only itself and
lower rows. Some of these packages are planned.
"""
