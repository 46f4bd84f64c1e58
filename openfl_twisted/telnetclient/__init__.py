"""
C{openfl-telnet}: a terminal client for Telnet and C{XMLSocket} servers.

  - L{openfl_twisted.telnetclient.command}: the options and the program.
  - L{openfl_twisted.telnetclient.connection}: the connection to the server, and
    the messages for failed connection attempts.
  - L{openfl_twisted.telnetclient.terminal}: standard input and output.
  - L{openfl_twisted.telnetclient.prompt}: an input line with history; requires
    C{prompt_toolkit}.
"""
