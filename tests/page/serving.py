"""A server of the page in a thread of this process, and browsers that ask it."""

import contextlib
import http.client
import socket
import threading

from websockets.sync.client import connect

from gan_jax.apps.serve.messages import Message, decode, encode
from gan_jax.apps.serve.run import listed, server_of
from gan_jax.apps.serve.security import bind, listen
from gan_jax.apps.serve.web import application
from gan_jax.apps.serve.worker import Worker

SECONDS = 60  # after which a server has hung


@contextlib.contextmanager
def serving(answers, models=None, most=4, host="127.0.0.1", token=False, **limits):
    """Serve, and yield the address and the worker."""
    bound, address = bind(host, 0, token)
    worker = Worker(answers, most)
    server = server_of(application(worker, listed(models or {}), address, **limits))
    listen(bound, address)
    threads = [
        threading.Thread(target=worker.run, daemon=True),
        threading.Thread(target=server.run, args=([bound],), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield address, worker
    finally:
        server.should_exit = server.force_exit = True
        worker.end()
        for thread in threads:
            thread.join(SECONDS)
        bound.close()
        assert not any(thread.is_alive() for thread in threads)


@contextlib.contextmanager
def browsing(address, query="", name="127.0.0.1", **headers):
    """Connect a page to a server, which it calls by a name, and yield it."""
    place = socket.create_connection(("127.0.0.1", address.port), SECONDS)
    with connect(
        f"ws://{name}:{address.port}/socket{query}",
        sock=place,
        additional_headers=headers,
        compression=None,
        max_size=None,
        open_timeout=SECONDS,
    ) as connected:
        yield Browser(connected)


class Browser:
    """A page that is connected to a server."""

    def __init__(self, connected):
        self.socket = connected
        self.runs = self.receive()

    def send(self, kind, request, run="run", arrays=None, **entries):
        message = Message(kind, request, {"run": run, **entries}, arrays or {})
        self.socket.send(encode(message))

    def receive(self):
        return decode(self.socket.recv(SECONDS))

    def ask(self, *arguments, **entries):
        self.send(*arguments, **entries)
        return self.receive()


def get(address, path="/", host=None, method="GET", **headers):
    """Return the status, the headers and the content of an answer over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name in [host] if isinstance(host, str) else host or [authority(address)]:
            connection.putheader("Host", name)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, answer.read()


def authority(address):
    return f"127.0.0.1:{address.port}"
