"""Stands between the network and an application: decides who may ask, how much, and what a browser may do.

- The host of a request must be an IP address, localhost, or a name that was allowed. Otherwise a page
  elsewhere could reach a server on 127.0.0.1 through a name of its own (DNS rebinding).
- The origin of a request that may change something must be the server's own page.
- Bodies are counted while they are read, so that neither a wrong length nor chunks deceive. If a body has
  not arrived when the answer is ready, the connection is closed.
- The bytes of bodies that are being received are limited, those of each address and of all together.
- Answers have the headers that confine a page to what came with it.
- A failure is a sentence to the client; all else about it is in the server's log.
"""

import asyncio
import ipaddress
import logging
import urllib.parse
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.web.clients import name_client
from tfpix2pix.web.limits import Receipts

BODY_TIMEOUT_SEC = 30.0
# So many of the largest bodies may be on their way at the same time.
BODIES_PER_CLIENT = 5
BODIES_IN_ALL = 20
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # blob: is for pictures that a script has made or fetched.
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LOG = logging.getLogger("uvicorn.error")


class Protection:
    """ASGI middleware that does what the module says.

    Args:
      app: the application that is protected.
      max_body_bytes: the largest number of bytes of a request's body.
      allowed_hosts: names that browsers may know the server by, in lower case and without a port.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, allowed_hosts: tuple[str, ...] = ()):
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._allowed_hosts = ("localhost", *allowed_hosts)
        self._receipts = Receipts(BODIES_PER_CLIENT * max_body_bytes, BODIES_IN_ALL * max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a request, or lets the application answer it."""
        if scope["type"] != "http":
            return
        has_started = False
        body = _Body(scope, receive, self._max_body_bytes, self._receipts)

        async def send_protected(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not body.is_complete:
                    headers["Connection"] = "close"
                message["headers"] = headers.raw
            await send(message)

        refusal = self._find_refusal(scope)
        if refusal:
            await refusal(scope, receive, send_protected)
            return
        try:
            await self._app(scope, body.receive, send_protected)
        except asyncio.CancelledError:  # The server ends, and does not wait for the answer any longer.
            if not has_started:
                await _refuse(503, "The server is being stopped.")(scope, receive, send_protected)
        except ClientDisconnect:  # Nobody is there to be answered.
            pass
        except Exception:
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            if not has_started:
                failure = _refuse(500, "The server failed; its log says why.")
                await failure(scope, receive, send_protected)
        finally:
            body.release()

    def _find_refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_allowed(_host_name(f"//{host}")):
            return _refuse(
                421,
                f"This server does not answer to the name {host[:100]!r}; "
                f"{name_flags('`allowed_hosts`')} adds names.",
            )
        origin = headers.get("origin")
        if scope["method"] not in _SAFE_METHODS and origin is not None:
            is_own = urllib.parse.urlsplit(origin).netloc == host if _host_name(origin) else False
            if not is_own and _host_name(origin) not in self._allowed_hosts[1:]:
                return _refuse(403, "That request came from a page of another site.")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            return _refuse(413, _too_large(self._max_body_bytes))
        return None

    def _is_allowed(self, name: str | None) -> bool:
        if name in self._allowed_hosts:
            return True
        try:
            # A name can be rebound to another address, but an address cannot.
            return bool(ipaddress.ip_address(name or ""))
        except ValueError:
            return False


class _Body:
    """The body of a request, which is counted and timed while it arrives."""

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int, receipts: Receipts):
        headers = Headers(scope=scope)
        self.is_complete = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self._receive = receive
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._receipts = receipts
        self._counted_bytes = 0
        self._client = name_client(scope["client"][0] if scope.get("client") else "")
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + BODY_TIMEOUT_SEC

    async def receive(self) -> Message:
        """Returns the next message of the server; raises HTTPException for bodies too large or too slow."""
        if self.is_complete:
            return await self._receive()
        try:
            message: Any = await asyncio.wait_for(self._receive(), self._deadline - self._clock())
        except asyncio.TimeoutError:  # In Python 3.10 it is not the built-in one yet.
            raise HTTPException(408, "The request did not arrive in time.") from None
        part_bytes = len(message.get("body", b""))
        self._received_bytes += part_bytes
        if self._received_bytes > self._max_bytes:
            raise HTTPException(413, _too_large(self._max_bytes))
        self.is_complete = not message.get("more_body", False)
        if self.is_complete:
            self.release()
        else:
            self._counted_bytes += part_bytes
            self._receipts.add(self._client, part_bytes)
        return message

    def release(self) -> None:
        """Makes room for other bodies, because this one is complete or given up."""
        self._receipts.remove(self._client, self._counted_bytes)
        self._counted_bytes = 0


def _too_large(max_bytes: int) -> str:
    return f"The request is larger than the {max_bytes:,} bytes allowed."


def _host_name(url: str) -> str | None:
    try:
        return urllib.parse.urlsplit(url).hostname
    except ValueError:
        return None


def _refuse(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)
