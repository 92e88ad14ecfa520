"""Who may use the page: checks of every request, and the headers of every answer.

A page of another site that a browser shows can send requests to this machine too. It
can have its own name resolve to 127.0.0.1 (DNS rebinding), which the check of the Host
refuses; and it can open a WebSocket to another site, which the check of the Origin
refuses. Whoever reaches the server from another machine needs the token.
"""

import hmac
import ipaddress
import secrets
import socket
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gan_jax.config.errors import InputError, printable

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_WEB_PORT = 80  # that no URL names
_BYTES = 24  # of a token
_FORBIDDEN = 403


class Address(NamedTuple):
    """Where the page is served, and what a request must state to be answered."""

    port: int
    names: frozenset[str]
    """Names and addresses by which a browser may call this machine, as in a URL."""
    any_address: bool
    """Whether every IP address may be called: only a name can be made to point here."""
    shown: str
    """The name in the URL that is printed."""
    token: str
    """What a request must carry; empty = nothing."""

    @property
    def url(self) -> str:
        """URL of the page."""
        given = f"?token={self.token}" if self.token else ""
        return f"http://{self._host(self.shown)}/{given}"

    @property
    def cookie(self) -> str:
        """Name of the cookie that carries the token; cookies do not know of ports."""
        return f"gan_jax_{self.port}"

    def is_called(self, host: str) -> bool:
        """Return whether the Host of a request is one of the page's."""
        name, port = _parted(host)
        if port != self.port:
            return False
        return name in self.names or (self.any_address and _is_address(name))

    def admits(self, token: str) -> bool:
        """Return whether a token is the one that is asked for, if any is."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def _host(self, name: str) -> str:
        return name if self.port == _WEB_PORT else f"{name}:{self.port}"


def bind(host: str, port: int, guarded: bool) -> tuple[socket.socket, Address]:
    """Bind a socket that does not listen yet.

    Args:
        host: A name or an address of this machine.
        port: The port; 0 = a free one.
        guarded: Whether a token is asked for on this machine alone too.

    Returns:
        The socket, and where it will serve.

    Raises:
        InputError: The host is none of this machine's, or the port is in use.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise InputError(
            f"--host={printable(host)} is no name or address: give one of this "
            "machine, or leave it out for 127.0.0.1"
        ) from None
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A server that was just ended leaves its port behind for a minute.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
    except OSError as error:
        found.close()
        raise InputError(_unbound(host, port, error)) from None
    bound, port = found.getsockname()[:2]
    return found, _address(host, str(bound), port, guarded)


def listen(found: socket.socket, address: Address) -> None:
    """Let a bound socket listen.

    Raises:
        InputError: Another program listens at the port since.
    """
    try:
        found.listen()
    except OSError as error:
        raise InputError(_unbound(address.shown, address.port, error)) from None


def _unbound(host: str, port: int, error: OSError) -> str:
    reason = error.strerror or str(error)
    return (
        f"port {port} of {printable(host)} cannot be used ({reason}): give another "
        "one with --port, or 0 for a free one"
    )


def _address(host: str, bound: str, port: int, guarded: bool) -> Address:
    """Return where a socket serves that was bound to an address."""
    place = ipaddress.ip_address(bound.partition("%")[0])
    names = {_in_url(host.lower()), _in_url(str(place))}
    shown = _in_url(host.lower())
    if place.is_loopback or place.is_unspecified:
        names |= {"localhost", "127.0.0.1", "[::1]"}
    if place.is_unspecified:
        shown = socket.gethostname().lower()
        names |= {shown, socket.getfqdn().lower()}
    asked = guarded or not place.is_loopback
    token = secrets.token_urlsafe(_BYTES) if asked else ""
    return Address(port, frozenset(names), not place.is_loopback, shown, token)


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _parted(host: str) -> tuple[str, int]:
    """Return the name and the port of a Host; -1 for what is no port."""
    name, colon, port = host.lower().rpartition(":")
    if not colon or port.endswith("]"):
        return host.lower(), _WEB_PORT
    digits = port.isascii() and port.isdecimal() and len(port) <= len("65535")
    return name, int(port) if digits else -1


def _is_address(name: str) -> bool:
    """Return whether a name in a URL is an IP address."""
    inner = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        ipaddress.ip_address(inner)
    except ValueError:
        return False
    return (":" in inner) == (inner != name)


def refusal(scope: Scope, address: Address) -> str:
    """Return why a request is refused, in a line; empty if it is answered."""
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not address.is_called(hosts[0]):
        return "this is not the address of the page: open the URL that was printed"
    # Programs send no Origin; a browser does for every WebSocket.
    if origins and [each.lower() for each in origins] != [f"http://{hosts[0].lower()}"]:
        return "a page of another site may not use this one"
    given = _tokens(scope, headers, address)
    if address.token and not any(map(address.admits, given)):
        return "the token is missing or wrong: open the URL that was printed"
    return ""


def _tokens(scope: Scope, headers: Headers, address: Address) -> list[str]:
    """Return the tokens that a request carries: in its query, and in its cookie."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    cookies = cookie_parser(headers.get("cookie", ""))
    return [*query.get("token", []), cookies.get(address.cookie, "")]


def guarded(application: ASGIApp, address: Address) -> ASGIApp:
    """Return an application that answers only requests that may be answered.

    Once a request has carried the token in its query, a cookie carries it.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await application(scope, receive, send)
            return

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if address.token and message["status"] != _FORBIDDEN:
                    kept = f"{address.cookie}={address.token}"
                    headers["set-cookie"] = f"{kept}; HttpOnly; SameSite=Strict; Path=/"
            await send(message)

        reason = refusal(scope, address)
        if not reason:
            await application(scope, receive, signed)
        elif scope["type"] == "http":
            await PlainTextResponse(reason, _FORBIDDEN)(scope, receive, signed)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": reason})

    return answer
