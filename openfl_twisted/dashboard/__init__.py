"""
The dashboard and the metrics of a server, for its operators.

  - L{openfl_twisted.dashboard.page}: the page of C{--dashboard}, and its commands.
  - L{openfl_twisted.dashboard.streams}: the streams of events for the page.
  - L{openfl_twisted.dashboard.clientlist}: filter and order of the clients.
  - L{openfl_twisted.dashboard.history}: the samples of the last hour.
  - L{openfl_twisted.dashboard.tables}: the tables of an export.
  - L{openfl_twisted.dashboard.vitals}: event-loop lag, memory and uptime.
  - L{openfl_twisted.dashboard.metrics}: the Prometheus metrics of C{--metrics}.
  - L{openfl_twisted.dashboard.status}: the state of a server, as plain values.
  - L{openfl_twisted.dashboard.adminhttp}: the HTTP server of the page and the metrics.
"""
