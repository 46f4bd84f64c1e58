"""
Hypothesis strategies that split byte streams.
"""

from hypothesis import strategies


def cuts(data: bytes) -> strategies.SearchStrategy[list[bytes]]:
    """
    A strategy for the ways to split C{data} into chunks.
    """

    def pieces(places: set[int]) -> list[bytes]:
        ends = [*sorted(places), len(data)]
        return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    return strategies.sets(strategies.integers(0, len(data)), max_size=12).map(pieces)


def cutStreams(
    streams: strategies.SearchStrategy[bytes],
) -> strategies.SearchStrategy[tuple[bytes, list[bytes]]]:
    """
    A strategy for streams, each with one way to split it.
    """
    return streams.flatmap(lambda data: strategies.tuples(strategies.just(data), cuts(data)))


def everyCut(data: bytes) -> list[list[bytes]]:
    """
    Return every way to cut short C{data} into pieces that are not empty.
    """
    found = [[data]] if data else []
    for at in range(1, len(data)):
        found += [[data[:at], *rest] for rest in everyCut(data[at:])]
    return found
