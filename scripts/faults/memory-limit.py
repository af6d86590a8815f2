#!/usr/bin/env python3
"""The process gets no more memory (`prlimit --as`, at what it has and 8 MB) while calls are up and more come, and may again later.

What allocates and gets nothing ends the process, as the kernel's killer would: then it is started again, and the figures are those
of a killed process."""

import subprocess
import time

from lab import Lab, until


def has(process):
    with open(f"/proc/{process}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * 4_096


lab = Lab("memory limit", '[store]\nfolder = "data"\n')
try:
    lab.start()
    lab.call(16)
    known = lab.active()
    process = lab.server.pid
    subprocess.run(["prlimit", "--pid", str(process), f"--as={has(process) + (8 << 20)}:"], check=True)
    limited = time.monotonic()
    tries = [lab.probe() for _ in range(3) if lab.server.poll() is None]
    died = lab.server.poll() is not None
    if died:
        ended = time.monotonic()
        lab.start()
    else:
        subprocess.run(["prlimit", "--pid", str(process), "--as=unlimited:"], check=True)
        ended = time.monotonic()
    until("a call is answered again", lab.probe)
    recovered = time.monotonic() - ended
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    note = (f"the process {'ended' if died else 'went on'}; of {len(tries)} tries of new calls meanwhile {sum(tries)} were answered; "
            f"recovered: from {'its end' if died else 'the end of the limit'} to a new call")
    lab.verdict(report, known - lab.records(), recovered, note)
finally:
    lab.stop()
