"""A process that has imported the kiosk, and forks one for each request. It runs as a file; see ``warm_kiosk.py``.

Standard input is a socket. A request has the command line and the environment, and two descriptors: the terminal, and
a pipe that gets the process id of the kiosk and, once it has ended, its wait status.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import socket
import sys
import termios
from typing import NoReturn


def _load() -> None:
    """Import what ``kiosk run`` imports, with the same modules left out."""
    from kiosk.fullscreen import textual_stubs
    from kiosk.models import SignInMethod
    from kiosk.process import preload

    textual_stubs.install()
    preload.skip_httpx_cli()
    from kiosk import launcher
    from kiosk.cli import main
    from kiosk.config import loading

    assert launcher
    assert loading
    assert main
    for method in SignInMethod:
        preload.load_full_screen(method)
        preload.load_linear(method)
    gc.collect()
    # The forks share these modules as long as nobody writes to their pages.
    gc.freeze()


def _watch(arguments: list[str], env: dict[str, str], terminal: int, report: int) -> None:
    """Run a kiosk in a child, and report its process id and its end."""
    pid = os.fork()
    if pid == 0:
        _become(arguments, env, terminal)
    os.close(terminal)
    os.write(report, b"%d\n" % pid)
    os.write(report, b"%d\n" % os.waitpid(pid, 0)[1])


def _become(arguments: list[str], env: dict[str, str], terminal: int) -> NoReturn:
    """Be the kiosk from its entry point on, as the first process of a session on this terminal."""
    code = 1
    try:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(terminal, number)
        os.environ.clear()
        os.environ.update(env)
        sys.argv[1:] = arguments
        from kiosk.__main__ import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        os._exit(code)


def _bury() -> None:
    """Take note of the processes that have ended meanwhile."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    _load()
    with socket.socket(fileno=os.dup(0)) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, 65536, 2)
            if not message:
                break
            if os.fork() == 0:
                requests.close()
                try:
                    _watch(*json.loads(message), *descriptors)
                finally:
                    os._exit(0)
            for descriptor in descriptors:
                os.close(descriptor)
            _bury()


if __name__ == "__main__":
    main()
