"""``python -S launch.py OUT ERR COMMAND...``: run a command, and print what it took as JSON.

It holds next to no memory: the most that a process held counts from before it was replaced by the command's.
"""

import json
import os
import sys
import time


def main(out: str, err: str, *command: str) -> None:
    start = time.perf_counter()
    if not (process := os.fork()):
        for file, stream in ((out, 1), (err, 2)):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream)
        os.execv(command[0], command)  # noqa: S606 - the command measured
    _, status, usage = os.wait4(process, 0)
    seconds, code = time.perf_counter() - start, os.waitstatus_to_exitcode(status)
    print(json.dumps({"seconds": seconds, "peak": usage.ru_maxrss * 1024, "code": code}))


main(*sys.argv[1:])
