"""The transport that the scheme of a server's URL asks for: REST or gRPC."""

import urllib.parse
from collections.abc import Mapping

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.serving.rest_transport import RestTransport
from tfpix2pix.serving.transport import Transport


def open_transport(
    url: str,
    model: str,
    version: int | str | None,
    timeout_sec: float,
    headers: Mapping[str, str],
    row_format: bool,
) -> Transport:
    """Returns the transport to a model, as `RemoteModel` takes its arguments.

    Raises:
      UsageError: when `url` is not the URL of a server.
      UserError: when gRPC is asked for and its package is missing.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        is_complete = parts.hostname and (parts.port or parts.scheme in ("http", "https"))
    except ValueError:
        is_complete = False
    if not is_complete or parts.scheme not in ("http", "https", "grpc", "grpcs"):
        raise UsageError(f"a server's URL is http://HOST:8501 or grpc://HOST:8500. Received: {url}")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"a server's URL holds no user and no password, which messages would show: give "
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} as `url`, and `headers` or `token_file`"
        )
    if parts.scheme in ("http", "https"):
        return RestTransport(parts, model, version, timeout_sec, headers, row_format)
    from tfpix2pix.serving.grpc_transport import GrpcTransport  # It needs an extra.

    return GrpcTransport(parts, model, version, timeout_sec, headers)
