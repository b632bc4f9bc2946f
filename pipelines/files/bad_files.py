"""Which pairs cannot be used because of their files, and what is said of them."""

from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from tfpix2pix.pipelines.base.listing import MAX_LISTED, count_of, join_some
from tfpix2pix.pipelines.base.progress import follow, warn
from tfpix2pix.pipelines.files.image_files import BadImageError

Result = TypeVar("Result")


def sift(
    examine: Callable[[str], Result], names: Iterable[str], title: str
) -> tuple[dict[str, Result], list[str]]:
    """Tells good pairs from bad ones: calls `examine` for every name, in several threads.

    Args:
      examine: looks at the pair of a name; raises BadImageError if it cannot be used.
      names: the pairs.
      title: the title of the progress bar.

    Returns:
      What `examine` returned for the good pairs, by name, and the texts of the errors of the others.
    """

    def attempt(name: str) -> tuple[str, Result | BadImageError]:
        try:
            return name, examine(name)
        except BadImageError as error:
            return name, error

    names = list(names)
    good: dict[str, Result] = {}
    reasons = []
    with ThreadPool() as pool:
        outcomes = pool.imap(attempt, names, chunksize=8)
        for name, outcome in follow(outcomes, title, len(names)):
            if isinstance(outcome, BadImageError):
                reasons.append(str(outcome))
            else:
                good[name] = outcome
    return good, reasons


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
