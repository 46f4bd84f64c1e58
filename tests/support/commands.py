"""
The commands of C{twistd} that this package adds.
"""

COMMANDS = {"openfl-xml", "openfl-echo", "openfl-policy", "openfl-bridge"}
