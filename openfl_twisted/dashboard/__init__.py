"""
The dashboard and the metrics of a server, for its operators.

  - L{openfl_twisted.dashboard.page}: the operator page of C{--dashboard}.
  - L{openfl_twisted.dashboard.streams}: the streams of events for the operator page.
  - L{openfl_twisted.dashboard.metrics}: the Prometheus metrics of C{--metrics}.
  - L{openfl_twisted.dashboard.status}: the state of a server, as plain values.
  - L{openfl_twisted.dashboard.adminhttp}: the HTTP server of the page and the metrics.
"""
