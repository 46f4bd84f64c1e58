"""
Several worker processes with one supervisor. It is used by C{--workers}, and does not
depend on what the workers do.

  - L{openfl_twisted.workers.supervisor}: starts, restarts and stops the workers.
  - L{openfl_twisted.workers.ports}: the ports that the workers share.
  - L{openfl_twisted.workers.link}: questions and answers between the two.
  - L{openfl_twisted.workers.worker}: the side of the worker.
  - L{openfl_twisted.workers.loglines}: the log of a worker in that of the supervisor.
"""
