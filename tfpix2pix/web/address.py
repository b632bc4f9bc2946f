"""What all commands that serve pages share: the flags of the address, the check of the extra, the socket.

FastAPI is not imported.
"""

import dataclasses
import importlib.util
import ipaddress
import re
import socket
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import warn

_PACKAGES = ("fastapi", "markdown_it", "uvicorn")
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a page is served, and who may ask for it.

    Attributes:
      host: name or IP address to listen on.
      port: port to listen on; 0 takes a free one.
      allowed_hosts: names that browsers may know the server by, besides localhost and IP addresses.
      trusted_proxy: IP address of a reverse proxy, whose X-Forwarded-For headers are believed; empty
        without one.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxy: str = ""


def define_address_flags(flag_values: flags.FlagValues, port: int) -> None:
    """Defines the flags of an `Address`.

    Args:
      flag_values: flags of the command.
      port: the default port.
    """
    flags.DEFINE_string("host", "127.0.0.1", "Listen on this name or IP address.", flag_values=flag_values)
    flags.DEFINE_integer(
        "port", port, "Listen on this port. 0 takes any free one.", 0, 65535, flag_values=flag_values
    )
    flags.DEFINE_list(
        "allowed_hosts",
        [],
        "Answer to these names too, a comma between them, such as demo.example.org. IP addresses and "
        "localhost are always answered to.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "trusted_proxy",
        "",
        "Tell clients apart by the X-Forwarded-For header of the reverse proxy with this IP address.",
        flag_values=flag_values,
    )


def read_address(values: dict[str, Any]) -> Address:
    """Returns the address that the flags of `define_address_flags` give.

    Raises:
      UsageError: when a value is not the name or the address that it should be.
    """
    names = tuple(name.strip().lower() for name in values["allowed_hosts"] if name.strip())
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise UsageError(
                f"--allowed_hosts: expected names such as demo.example.org, without https:// and port; "
                f"received {name}"
            )
    proxy = values["trusted_proxy"]
    if proxy and not _is_address(proxy):
        raise UsageError(
            f"--trusted_proxy: expected the IP address that the proxy connects from, such as 127.0.0.1; "
            f"received {proxy}"
        )
    return Address(values["host"], values["port"], names, proxy)


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def check_packages() -> None:
    """Raises UserError if packages of the extra are missing."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"serving pages needs {', '.join(missing)}: pip install 'tfpix2pix[web]'")


def open_socket(address: Address) -> socket.socket:
    """Opens the socket, so that a port that is taken is known before a model is loaded.

    An address that other machines can reach is warned of.

    Args:
      address: where to listen.

    Returns:
      The socket, which the caller closes.

    Raises:
      UserError: when the port is taken or not allowed, or the host is not this machine.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(place[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:  # UnicodeError: the host cannot be a name.
        raise UserError(
            f"cannot listen on {address.host} port {address.port}: {getattr(error, 'strerror', error)}. "
            "Another `port` (0 takes any free one) or `host` may do"
        ) from error
    if not ipaddress.ip_address(listening.getsockname()[0].split("%")[0]).is_loopback:
        warn(
            f"{address.host} can be reached from other machines, and nobody is asked for a password; "
            "`host=127.0.0.1` keeps it here"
        )
    return listening


def find_url(listening: socket.socket) -> str:
    """Returns the URL under which a browser on this machine finds what listens there."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host.split("%")[0])
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
