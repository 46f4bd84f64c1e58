"""
A supervisor that runs several worker processes, for C{--workers}. This package does not depend
on what the workers do.

  - L{openfl_twisted.workers.supervisor}: starts, restarts and stops the workers.
  - L{openfl_twisted.workers.ports}: the ports that the workers share.
  - L{openfl_twisted.workers.link}: requests and responses between supervisor and worker.
  - L{openfl_twisted.workers.worker}: the worker's side of the link.
  - L{openfl_twisted.workers.loglines}: copies the log of a worker into the log of the
    supervisor.
"""
