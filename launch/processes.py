"""Train one run in several processes on this machine, each with devices of its own.

python -m launch.processes --processes=2 --devices=2 -- --config=configs/gan.py
python -m launch.processes --processes=4 -- --config=configs/pixelcgan.py --workdir=W

Arguments after `--` go to `gan_jax.main`. The processes meet at a free port and
exchange gradients over gloo, as on a cluster of CPUs; each uses its share of the
threads. If one of them fails, the others are ended too, and the same command continues
at the last checkpoint. A signal to this program goes to all of them, and they save
before they end.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

_GRACE = 20  # seconds in which the others may end by themselves
_POLL = 0.1  # seconds


def main() -> int:
    """Run the processes; return the exit code of the run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2, help="how many")
    parser.add_argument("--devices", type=int, default=1, help="of each, on CPUs")
    parser.add_argument("arguments", nargs="*", help="of gan_jax.main, after --")
    options = parser.parse_args()
    if options.processes < 1 or options.devices < 1:
        parser.error("--processes and --devices are at least 1")
    if not options.arguments:
        parser.error("which run? Give the arguments of gan_jax.main after --")
    return run(options.processes, options.devices, options.arguments)


def run(processes: int, devices: int, arguments: Sequence[str]) -> int:
    """Run `gan_jax.main` in processes of one run.

    Args:
        processes: Number of processes.
        devices: Number of devices of each process.
        arguments: Arguments of each process.

    Returns:
        The exit code of the first process that failed, 128 + N for signal N; else 0.
    """
    coordinator = f"localhost:{free_port()}"
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    # Each would otherwise compute in as many threads as there are cores. They are not
    # bound to cores: their communication would wait for their computation.
    environment = {"NPROC": str(threads)} | os.environ
    environment["JAX_NUM_CPU_DEVICES"] = str(devices)

    def start(process: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gan_jax.main",
                *arguments,
                f"--coordinator={coordinator}",
                f"--processes={processes}",
                f"--process={process}",
            ],
            env=environment,
            process_group=0,  # Ctrl-C reaches it through `pass_on`, once
        )

    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: object) -> None:
        for one in started:
            one.send_signal(number)

    before = {
        number: signal.signal(number, pass_on)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        for process in range(processes):
            started.append(start(process))
        return _wait(started)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in started:
            one.kill()
            one.wait()


def _wait(started: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; if one fails, end the others and print the reason."""
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
    # A process that was killed is the cause, whichever was seen to end first.
    killed = [at for at in failed if (codes[at] or 0) < 0]
    cause = (killed or failed)[0]
    code = codes[cause] or 0
    if code == 2:  # the process has printed what the user can mend
        return code
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    print(
        f"launch.processes: process {cause} of {len(started)} has ended ({how}), and "
        "the run with it: the same command continues at the last checkpoint",
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
