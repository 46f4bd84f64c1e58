"""
Socket policy files: the request, the file, and what it permits.

A Flash program may open a socket only if a policy file permits it. Flash Player
requests the file on a separate connection: it sends C{<policy-file-request/>} and
a NUL byte, receives the file and a NUL byte, and the connection is closed. OpenFL
and Ruffle never request it.

The rules are those of Adobe's I{Cross Domain Policy File Specification} 2.0 and
of Flash Player 10, for socket policy files only.

  - L{request<openfl_twisted.wire.policy.request>}: the policy request.
  - L{rule<openfl_twisted.wire.policy.rule>}: one rule of a policy file.
  - L{file<openfl_twisted.wire.policy.file>}: the policy file, which has rules.
  - L{address<openfl_twisted.wire.policy.address>}: the addresses of a program and
    of a policy file.
  - L{decision<openfl_twisted.wire.policy.decision>}: grants or denies, with the
    reasons.
  - L{origins<openfl_twisted.wire.policy.origins>}: the same rules for the
    C{Origin} header of a WebSocket.
"""
