"""
Socket policy files: policy requests, policy files, and access decisions.

A Flash program may open a socket only if a policy file permits it. Flash Player requests the
policy file on a separate connection: the player sends C{<policy-file-request/>} and a NUL
byte, receives the file and a NUL byte, and the connection is closed. OpenFL and Ruffle never
request policy files.

The rules follow Adobe's I{Cross Domain Policy File Specification} 2.0 and Flash Player 10, for
socket policy files only.

  - L{request<openfl_twisted.wire.policy.request>}: the policy request.
  - L{rule<openfl_twisted.wire.policy.rule>}: one rule of a policy file.
  - L{file<openfl_twisted.wire.policy.file>}: the policy file, which contains rules.
  - L{address<openfl_twisted.wire.policy.address>}: parses the URLs of a program and of a
    policy file.
  - L{decision<openfl_twisted.wire.policy.decision>}: grants or denies, with the
    reasons.
  - L{origins<openfl_twisted.wire.policy.origins>}: applies policy files to the C{Origin}
    header of a WebSocket.
"""
