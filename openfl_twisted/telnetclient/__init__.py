"""
C{openfl-telnet}: a person, or a script, at the client's end of a connection.

  - L{openfl_twisted.telnetclient.command}: the program and its options.
  - L{openfl_twisted.telnetclient.connection}: the connection, and why there is none.
  - L{openfl_twisted.telnetclient.terminal}: how lines come in and text goes out.
  - L{openfl_twisted.telnetclient.prompt}: the same with C{prompt_toolkit}, for a
    person at a terminal.
"""
