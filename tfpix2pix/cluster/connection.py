"""The connection to Ray: a cluster that runs already, or one on this machine for the time of a command."""

import contextlib
import importlib.util
import logging
import os
import secrets
import sys
from collections.abc import Iterator

from tfpix2pix.pipelines.base.errors import UserError, shorten

# Ray takes 127.0.0.1 for a mistake, and another address of the same loopback device as it is.
_THIS_MACHINE = "127.0.0.2"


@contextlib.contextmanager
def connect(address: str | None, cpus: int) -> Iterator[None]:
    """Connects this process to Ray. Where it is connected already, as in a notebook, it stays so.

    Args:
      address: host:port of the head of a cluster, or `auto` for the one that this machine belongs to; None
        starts Ray on this machine, without its dashboard, and ends it with the block. Ray opens ports on all
        addresses of the machine, which then answer nobody without a token that is drawn here.
      cpus: number of processors that are needed; Ray on this machine offers at least as many.

    Raises:
      UserError: when Ray is missing, or nothing answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("workers on a cluster need Ray: pip install 'tfpix2pix[cluster]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Nothing is sent to Ray's authors.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns where this is not decided.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # 30 are too few for a busy machine.
    if address is None and "ray" not in sys.modules:  # which reads these two when it is imported
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    if ray.is_initialized():
        yield
        return
    local = {
        "num_cpus": max(cpus, os.cpu_count() or 1),
        "include_dashboard": False,
        "_node_ip_address": _THIS_MACHINE,
    }
    try:
        # What workers have to say comes as their results; Ray's own words are for those who develop with it.
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
        ray.init(address=address or "local", **quiet, **({} if address else local))
    except Exception as error:  # Ray raises some of no other class.
        raise UserError(f"Ray at {address or 'this machine'} does not answer: {shorten(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()
