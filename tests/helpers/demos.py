"""Serves the demo of a tiny run from a thread of the test's own process, which starts at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn

from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.address import Address, find_url, open_socket
from tfpix2pix.web.demo.about import describe_translator
from tfpix2pix.web.demo.application import Limits, make_demo
from tfpix2pix.web.demo.input import describe_input, origin_of_translator, read_examples
from tfpix2pix.web.demo.models import LocalPainter
from tfpix2pix.web.server import configure


class Place(NamedTuple):
    """Where a demo is served."""

    url: str
    port: int


@contextmanager
def serve_model(
    model: Path,
    *,
    kind: str | None = None,
    examples: bool = False,
    limits: Limits | None = None,
    port: int = 0,
    is_warm: bool = False,
) -> Iterator[Place]:
    """Yields where the demo of a run or SavedModel is.

    Args:
      model: the run or SavedModel.
      kind: what people make, as `describe_input` takes it.
      examples: whether examples are offered.
      limits: limits of requests; None takes those of the command, without a limit of the rate.
      port: the port; 0 takes any free one.
      is_warm: whether the model is warmed up first, as the command does.
    """
    limits = limits or Limits(requests_per_sec=100)
    translator = Translator(model)
    origin = origin_of_translator(translator)
    sheet = describe_input(origin, kind)
    painter = LocalPainter(translator, limits.max_pixels)
    offered = read_examples(origin, sheet) if examples else ()
    if is_warm:
        painter.warm_up(sheet.size, offered[0].contents if offered else None)
    app = make_demo(
        painter,
        sheet,
        offered,
        limits,
        card=describe_translator(translator, model, origin),
    )
    with open_socket(Address(port=port)) as listening:
        server = uvicorn.Server(configure(app, Address(port=port)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Place(find_url(listening), listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
