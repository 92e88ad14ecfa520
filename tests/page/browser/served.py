"""A server in a process of its own, which can be killed and started again."""

import re
import subprocess
import sys
import threading
import time

from tests.programs import ROOT

DETECTOR = "<img src=x onerror=alert(1)>"
"""Name of a run of `detect`: text, whatever it looks like."""
SECONDS = 120  # in which a server has to start


class Served:
    """A server of runs; used as a context, it is ended with it."""

    def __init__(self, priors):
        self.priors = priors
        self.port = 0
        self.start()

    def start(self):
        """Start the server, at the port it had before if there was one."""
        command = [sys.executable, "-m", "gan_jax.serve", f"--port={self.port}"]
        self.process = subprocess.Popen(
            [*command, *(f"--prior={prior}" for prior in self.priors)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        end = time.monotonic() + SECONDS
        while not (found := re.search(r"http://\S+:(\d+)/\S*", "".join(self.lines))):
            running = self.process.poll() is None and time.monotonic() < end
            assert running, "".join(self.lines)
            time.sleep(0.05)
        self.url, self.port = found[0], int(found[1])

    def _read(self):
        self.lines.extend(self.process.stdout)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.kill()
