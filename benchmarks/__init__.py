"""
Benchmarks of this package and of other servers: C{python -m benchmarks --help}.

- L{workloads<benchmarks.workloads>}: the workloads and their goals.
- L{servers<benchmarks.servers>}: the measured servers. Their programs are in C{peers}.
- L{calls<benchmarks.calls>}: the workloads without a network.
- L{running<benchmarks.running>}, L{comparing<benchmarks.comparing>}: processes and
  rounds. The load generator is in C{load}.
- L{results<benchmarks.results>}, L{tables<benchmarks.tables>},
  L{plots<benchmarks.plots>}: statistics and output.

Separate commands measure attacks (C{python -m benchmarks.hostile}), message brokers
(C{python benchmarks/brokers.py}) and many clients (C{python benchmarks/crowd.py}).
"""
