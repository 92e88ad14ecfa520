"""Whom the page answers: hosts, origins, tokens, and the headers of what it sends."""

import re
import socket

import pytest
from websockets.exceptions import InvalidStatus

from gan_jax.apps.serve.security import bind, refusal
from gan_jax.config.errors import InputError
from tests.page.serving import SECONDS, authority, browsing, get, serving


@pytest.fixture(scope="module")
def local():
    with serving({}) as (address, _):
        yield address


@pytest.fixture(scope="module")
def shared():
    """The address of a server that other machines may reach."""
    with serving({}, host="0.0.0.0") as (address, _):
        yield address


def enter(context):
    with context:
        pass


def asked(address, host, origin=None, query="", cookie=None):
    """Return why a request is refused, if it is."""
    headers = [(b"host", host.encode())] if isinstance(host, str) else host
    if origin is not None:
        headers = [*headers, (b"origin", origin.encode())]
    if cookie is not None:
        headers = [*headers, (b"cookie", cookie.encode())]
    scope = {"type": "http", "headers": headers, "query_string": query.encode()}
    return refusal(scope, address)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_this_machine_is_answered(local, name):
    host = f"{name}:{local.port}"
    assert asked(local, host) == ""
    assert asked(local, host, f"http://{host}") == ""


OTHERS = [
    "",
    "127.0.0.1",  # another port
    "localhost:80",
    "127.0.0.1:{port}1",
    "127.0.0.1:",
    "127.0.0.1:-1",
    "127.0.0.1:{port}:{port}",
    "127.0.0.1:\u0661",
    "[::1]",
    "::1:{port}",
    "evil.example:{port}",
    "localhost.evil.example:{port}",
    "127.0.0.1.nip.io:{port}",
    "192.168.1.7:{port}",
    "0.0.0.0:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1 :{port}",
    "127.1:{port}",
    "2130706433:{port}",
]


@pytest.mark.parametrize("host", OTHERS)
def test_another_name_is_refused(local, host):
    assert "address" in asked(local, host.format(port=local.port))


def test_no_host_or_two_are_refused(local):
    named = (b"host", authority(local).encode())
    assert asked(local, [named]) == ""
    assert "address" in asked(local, [])
    assert "address" in asked(local, [named, named])


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://127.0.0.1",
        "http://localhost:{port}",  # the page was opened by another name
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "http://127.0.0.1:{port}.evil.example",
        "file://",
    ],
)
def test_a_page_of_another_site_is_refused(local, origin):
    given = origin.format(port=local.port)
    assert "another site" in asked(local, authority(local), given)
    with pytest.raises(InvalidStatus, match="403"):
        enter(browsing(local, Origin=given))
    assert get(local, Origin=given)[0] == 403


def test_the_socket_of_another_name_is_refused(local):
    with pytest.raises(InvalidStatus, match="403"):
        enter(browsing(local, name="evil.example"))
    assert get(local, host=f"evil.example:{local.port}")[0] == 403


def test_the_page_and_its_socket_are_answered(local):
    with browsing(local, Origin=f"http://{authority(local)}") as browser:
        assert browser.runs.type == "runs"
    with browsing(local) as browser:  # a program, which sends no Origin
        assert browser.runs.entries["protocol"] == 1


def test_other_machines_need_the_token(shared):
    host = authority(shared)
    token = shared.token
    assert re.fullmatch(r"[\w-]{32}", token)
    assert shared.url.endswith(f":{shared.port}/?token={token}")
    assert asked(shared, host, query=f"token={token}") == ""
    assert asked(shared, host, cookie=f"other=1; {shared.cookie}={token}; b=2") == ""
    for query, cookie in (
        ("", None),
        ("token=", None),
        (f"token={token}1", None),
        (f"token={token[:-1]}", None),
        (f"token={token.swapcase()}", None),
        (f"Token={token}", None),
        ("token=%ff%00\u00e9", None),
        ("", f"gan_jax_1={token}"),
        ("", f"{shared.cookie}="),
        ("", f"{shared.cookie}=\u00e9; ;;=;"),
    ):
        assert "token" in asked(shared, host, query=query, cookie=cookie)


def test_a_token_opens_the_page_its_files_and_its_socket(shared):
    for path in ("/", "/main.js", "/?token=wrong"):
        status, headers, content = get(shared, path)
        assert (status, content.count(b"\n")) == (403, 0)
        assert "set-cookie" not in headers
    with pytest.raises(InvalidStatus, match="403"):
        enter(browsing(shared))
    status, headers, _ = get(shared, f"/?token={shared.token}")
    assert status == 200
    cookie, *rules = headers["set-cookie"].split("; ")
    assert {*rules} == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert get(shared, "/main.js", Cookie=cookie)[0] == 200
    with browsing(shared, Cookie=cookie) as browser:
        assert browser.runs.type == "runs"
    with browsing(shared, query=f"?token={shared.token}") as browser:
        assert browser.runs.type == "runs"


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("192.168.1.7", True),  # no name can be made to point to an address
        ("[fe80::1]", True),
        ("localhost", True),
        (socket.gethostname(), True),
        ("evil.example", False),
        ("[evil]", False),
        ("[127.0.0.1]", False),
        ("fe80::1", False),
    ],
)
def test_other_machines_call_this_one_by_its_names_alone(shared, name, answered):
    found = asked(shared, f"{name}:{shared.port}", query=f"token={shared.token}")
    assert (found == "") == answered


def test_a_token_can_be_asked_for_on_this_machine_too():
    with serving({}, token=True) as (address, _):
        assert address.token in address.url
        assert get(address)[0] == 403
        assert get(address, f"/?token={address.token}")[0] == 200


POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


@pytest.mark.parametrize("path", ["/", "/main.js", "/nothing", "/..%2fweb.py"])
def test_every_answer_has_the_headers_of_safety(local, path):
    for host in (None, "evil.example"):
        _, headers, _ = get(local, path, host)
        rules = (
            rule.split(" ", 1)
            for rule in headers["content-security-policy"].split("; ")
        )
        assert dict(rules) == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/nothing.js",
        "/web.py",
        "/../web.py",
        "/..%2fweb.py",
        "/%2e%2e/web.py",
        "/__init__.py",
        "//etc/passwd",
        "/page/index.html",
        "/" + "a" * 10_000,
    ],
)
def test_only_the_files_of_the_page_are_sent(local, path):
    assert get(local, path)[0] in (400, 404)


def test_files_have_their_types_and_the_page_loads_nothing_from_elsewhere(local):
    status, headers, content = get(local)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = content.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=|https?://", text)
    names = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert names
    for name in names:
        status, headers, _ = get(local, f"/{name.removeprefix('/')}")
        assert status == 200, name
        assert headers["cache-control"] == "no-cache"
        if name.endswith(".js"):
            assert headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_page_takes_nothing_over_http(local, method):
    assert get(local, method=method)[0] == 405


UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\0\1\2\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /socket HTTP/1.1\r\nHost: %s\r\n" + UPGRADE + b"\r\n",
        b"GET /socket HTTP/1.1\r\nHost: %s\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %s\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /%%00%%ff HTTP/1.1\r\nHost: %s\r\n\r\n",
    ],
    ids=range(7),
)
def test_what_is_no_request_is_refused_and_the_server_goes_on(local, content):
    with socket.create_connection(("127.0.0.1", local.port), SECONDS) as place:
        host = authority(local).encode()
        place.sendall(content.replace(b"%s", host).replace(b"%%", b"%"))
        assert re.match(rb"HTTP/1\.1 4\d\d ", place.recv(1000))
    assert get(local)[0] == 200


def test_a_port_in_use_is_one_line(local):
    with pytest.raises(InputError, match=f"port {local.port} .*--port"):
        bind("127.0.0.1", local.port, False)


@pytest.mark.parametrize(
    "host", ["no.such.name.invalid", "256.1.1.1", "192.0.2.7", "a\x1b[2J", "x" * 300]
)
def test_a_host_that_is_not_this_machine_is_one_line(host):
    with pytest.raises(InputError) as refused:
        bind(host, 0, False)
    assert "\x1b" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_server_on_ipv6_is_called_in_brackets():
    try:
        found, address = bind("::1", 0, False)
    except InputError:
        pytest.skip("this machine has no IPv6")
    found.close()
    assert address.url == f"http://[::1]:{address.port}/"
    assert asked(address, f"[::1]:{address.port}", f"http://[::1]:{address.port}") == ""
    assert asked(address, f"[::2]:{address.port}")
