"""Which pairs cannot be used because of their files, and what is said of them."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from tfpix2pix.pipelines.base.listing import MAX_LISTED, count_of, join_some
from tfpix2pix.pipelines.base.progress import follow, warn
from tfpix2pix.pipelines.files.image_files import BadImageError

Result = TypeVar("Result")
Name = TypeVar("Name", str, int)
_TRIED = 256
_WAITS = 2.0


def sift(
    examine: Callable[[Name], Result], names: Iterable[Name], title: str
) -> tuple[dict[Name, Result], list[str]]:
    """Tells good pairs from bad ones: calls `examine` for every name, in several threads.

    Args:
      examine: looks at the pair of a name; raises BadImageError if it cannot be used.
      names: the names or the numbers of the pairs.
      title: the title of the progress bar.

    Returns:
      What `examine` returned for the good pairs, by name, and the texts of the errors of the others.
    """
    good: dict[Name, Result] = {}
    reasons = []
    for name, outcome in examine_all(examine, list(names), title):
        if isinstance(outcome, BadImageError):
            reasons.append(str(outcome))
        else:
            good[name] = outcome
    return good, reasons


def examine_all(
    examine: Callable[[Name], Result], names: Sequence[Name], title: str, only_waits: bool = False
) -> Iterator[tuple[Name, Result | BadImageError]]:
    """Yields each name with what `examine` returns for it, or the error; the arguments are those of `sift`.

    Args:
      examine: looks at the pair of a name.
      names: the names or the numbers of the pairs.
      title: the title of the progress bar.
      only_waits: whether `examine` does little but wait for files. Then a first few pairs tell whether it
        waits at all, as for a disk or a network; if not, threads would only hinder each other.
    """

    def attempt(name: Name) -> tuple[Name, Result | BadImageError]:
        try:
            return name, examine(name)
        except BadImageError as error:
            return name, error

    start = time.perf_counter(), time.thread_time()
    tried = list(map(attempt, names[:_TRIED])) if only_waits else []
    waits = time.perf_counter() - start[0] > _WAITS * (time.thread_time() - start[1])
    rest = names[len(tried) :]
    with ThreadPool() as pool:
        outcomes = pool.imap(attempt, rest, chunksize=8) if waits or not only_waits else map(attempt, rest)
        try:
            yield from follow(itertools.chain(tried, outcomes), title, len(names))
        finally:  # After an error, no thread goes on with what it had begun.
            pool.terminate()
            pool.join()


def report_bad(reasons: Sequence[str], num_pairs: int, on_bad_image: str) -> None:
    """Warns of the pairs that cannot be used.

    Args:
      reasons: one text for each of them, with file and reason.
      num_pairs: number of all pairs, good and bad.
      on_bad_image: `stop` or `skip`, see `sources.open_source`.

    Raises:
      BadImageError: with `stop`, or if all pairs are bad.
    """
    summary = f"{len(reasons)} of {count_of(num_pairs, 'pair')} cannot be used"
    if on_bad_image == "stop":
        raise BadImageError(f"{summary} (`on_bad_image=skip` leaves them out): {join_some(reasons, '; ')}")
    if len(reasons) == num_pairs:
        raise BadImageError(f"{summary}, so none is left: {join_some(reasons, '; ')}")
    for reason in reasons[:MAX_LISTED]:
        warn(f"skipped: {reason}")
    warn(f"{summary} and {'is' if len(reasons) == 1 else 'are'} left out")
