"""Train one run in several processes on this machine, each with its own devices.

python -m launch.processes --processes=2 --devices=2 -- --config=configs/gan.py
python -m launch.processes --processes=4 -- --config=configs/pixelcgan.py --workdir=W

Arguments after `--` are those of `gan_jax.main`. The processes connect at a free port
and exchange gradients over gloo, as on a cluster of CPUs; each uses its share of the
threads. If one process fails, the others are stopped, and the same command continues at
the last checkpoint. SIGINT and SIGTERM are passed on to all processes, which save and
exit.
"""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

_GRACE = 20  # seconds for the other processes to end by themselves
_POLL = 0.1  # seconds between checks


def main() -> int:
    """Run the processes of the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2, help="number of processes")
    parser.add_argument(
        "--devices", type=int, default=1, help="CPU devices of each process"
    )
    parser.add_argument("arguments", nargs="*", help="arguments of gan_jax.main")
    options = parser.parse_args()
    if options.processes < 1 or options.devices < 1:
        parser.error("--processes and --devices must be at least 1")
    if not options.arguments:
        parser.error("no run is named: give the arguments of gan_jax.main after --")
    return run(options.processes, options.devices, options.arguments)


def run(processes: int, devices: int, arguments: Sequence[str]) -> int:
    """Run `gan_jax.main` in several processes that train one run.

    Args:
        processes: Number of processes.
        devices: Number of CPU devices of each process.
        arguments: Arguments of `gan_jax.main`, the same for every process.

    Returns:
        The exit code of the process that failed first, 128 + N for signal N; 0 if none
        failed.
    """
    coordinator = f"localhost:{free_port()}"
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    # By default each process would use as many threads as there are cores. Binding
    # processes to cores would make communication wait for computation.
    environment = {"NPROC": str(threads)} | os.environ
    environment["JAX_NUM_CPU_DEVICES"] = str(devices)

    with Children() as children:
        for process in range(processes):
            children.start(
                [
                    *arguments,
                    f"--coordinator={coordinator}",
                    f"--processes={processes}",
                    f"--process={process}",
                ],
                env=environment,
            )
        return _wait(children)


class Children:
    """Runs of `gan_jax.main` in processes of their own; a context manager.

    They get each SIGINT and SIGTERM that this process gets. At the end those that are
    still at work are killed.
    """

    def __init__(self) -> None:
        """Prepare; signals are passed on once the context is entered."""
        self.started: list[subprocess.Popen[bytes]] = []
        self.received: int | None = None
        """The last signal."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Children":
        """Catch both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *exception: object) -> None:
        """Restore the handlers of before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for child in self.started:
            child.kill()
            child.wait()

    def start(self, arguments: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
        """Start a run; `how` is passed to `subprocess.Popen`."""
        child = subprocess.Popen(
            [sys.executable, "-m", "gan_jax.main", *arguments],
            process_group=0,  # Ctrl-C of a terminal arrives once, through `_pass_on`
            **how,
        )
        self.started.append(child)
        if self.received:  # before it was in the list
            child.send_signal(self.received)
        return child

    def _pass_on(self, number: int, frame: object) -> None:
        self.received = number
        for child in self.started:
            child.send_signal(number)


def _wait(children: Children) -> int:
    """Wait for all processes and return the exit code; report the one that failed.

    Those that end because this process was sent a signal are not reported.
    """
    started = children.started
    while True:
        codes = [one.poll() for one in started]
        failed = [place for place, code in enumerate(codes) if code]
        if failed or None not in codes:
            break
        time.sleep(_POLL)
    if not failed:
        return 0
    deadline = time.monotonic() + _GRACE
    while None in [one.poll() for one in started] and time.monotonic() < deadline:
        time.sleep(_POLL)
    # A process that was killed is the cause, even if another was seen to end first.
    killed = [at for at in failed if (codes[at] or 0) < 0]
    cause = (killed or failed)[0]
    code = codes[cause] or 0
    if code == 2:  # an input error, which the process has reported
        return code
    if children.received:
        return 128 + children.received
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    print(
        f"launch.processes: process {cause} of {len(started)} has ended ({how}) and "
        "the run was stopped: the same command continues at the last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    return 128 - code if code < 0 else code


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
