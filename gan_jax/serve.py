"""Show trained runs on a page in the browser, which answers while one draws.

python -m gan_jax.serve
python -m gan_jax.serve --prior=runs/pixelcgan --prior=runs/colors

Open the URL that is printed. A run under known pixels or wells makes realisations of
what is drawn, a plain GAN completes photographs, a run of `colorize` colours them, and
one of `detect` scores them. Without --prior the packaged priors are shown. Only this
machine can open the page; with --host others can, by a URL that carries a token.
Ctrl-C ends the server.
"""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from gan_jax.config.checks import check_path
from gan_jax.config.errors import InputError, run_command

PORT = 8765
SESSIONS = 8
_PORTS = 2**16
_PACKAGES = ("starlette", "uvicorn", "websockets")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve what the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="gan_jax.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--prior",
        action="append",
        default=[],
        metavar="RUN",
        help="workdir of a trained run, or a packaged prior; may be given repeatedly",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="name or address of this machine that others may call; 127.0.0.1, this "
        "machine alone, by default",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"{PORT} by default; 0 = a free one"
    )
    parser.add_argument(
        "--sessions",
        type=int,
        default=SESSIONS,
        metavar="N",
        help=f"pages that may be open at once, {SESSIONS} by default",
    )
    parser.add_argument(
        "--token",
        action="store_true",
        help="ask for a token on this machine too, where others have accounts",
    )
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)
    return run_command(lambda: _serve(options), options.verbose)


def _serve(options: argparse.Namespace) -> None:
    if not 0 <= options.port < _PORTS:
        raise InputError(f"--port={options.port} is none: give 0 to {_PORTS - 1}")
    if options.sessions < 1:
        raise InputError(f"--sessions={options.sessions}: give 1 or more")
    for path in options.prior:
        if not path.strip():
            raise InputError("--prior= names no run: give a workdir or leave it out")
        check_path("--prior", path)
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise InputError(f"the page needs {package}: pip install 'gan-jax[page]'")
    # JAX starts here: an error in the flags is answered before.
    from gan_jax.apps.serve import run
    from gan_jax.runs.startup import keep_compiled, keep_memory

    keep_compiled()
    keep_memory()
    run.run(
        run.Options(
            options.prior,
            options.host,
            options.port,
            options.sessions,
            options.token,
            options.verbose,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
