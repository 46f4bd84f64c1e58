"""
How fast this package is, and beside whom: C{python -m benchmarks --help}.

  - L{workloads<benchmarks.workloads>}: what is measured, and what is to be
    reached.
  - L{servers<benchmarks.servers>}: who is measured; their programs are in
    C{peers}.
  - L{calls<benchmarks.calls>}: what needs no network.
  - L{running<benchmarks.running>}, L{comparing<benchmarks.comparing>}: processes,
    and rounds; the load generator is in C{load}.
  - L{results<benchmarks.results>}, L{tables<benchmarks.tables>},
    L{plots<benchmarks.plots>}: what follows.

C{python benchmarks/hostile.py} and C{python benchmarks/brokers.py} measure one
thing each.
"""
