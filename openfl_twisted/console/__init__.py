"""
C{openfl-telnet}: a person, or a script, at the client's end of a connection.

  - L{openfl_twisted.console.telnet}: the program and its options.
  - L{openfl_twisted.console.calling}: the connection, and why there is none.
  - L{openfl_twisted.console.terminal}: how lines come in and text goes out.
  - L{openfl_twisted.console.prompt}: the same with C{prompt_toolkit}, for a
    person at a terminal.
"""
