#!/usr/bin/env python3
"""The process is put into a memory group (cgroup, so root is needed) that lets it have 2 MB more than it has, while calls are up and
120 more come; later it may have more again.

What the kernel's killer ends is started again, and the figures are those of a killed process."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from lab import Lab, until


GROUPS = Path("/sys/fs/cgroup")
IS_ONE_TREE = (GROUPS / "cgroup.controllers").exists()


class Group:
    """A memory group of its own."""

    def __init__(self):
        self.folder = (GROUPS if IS_ONE_TREE else GROUPS / "memory") / f"calmline-faults-{os.getpid()}"
        try:
            self.folder.mkdir()
        except OSError as error:
            sys.exit(f"skipped: no memory group: {error}")

    def limit(self, octets):
        name = "memory.max" if IS_ONE_TREE else "memory.limit_in_bytes"
        (self.folder / name).write_text(str(octets))

    def take(self, process):
        (self.folder / "cgroup.procs").write_text(str(process))

    def remove(self):
        with contextlib.suppress(OSError):
            self.folder.rmdir()


MORE = 120

lab = Lab("memory limit", '[store]\nfolder = "data"\n[targets.more]\nuri = "sip:more@127.0.0.1:{spare}"\n'
          '[[route]]\nname = "more"\nmatch = {{ request_uri = "sip:more@*" }}\ntargets = ["more"]\nscenario = "load"\n')
group = Group()
try:
    lab.start()
    lab.call(24)
    known = lab.active()
    process = lab.server.pid
    # Pages that it has stay with the group that it comes from: the limit is for what comes on top.
    group.take(process)
    group.limit(2 << 20)
    more = subprocess.run([lab.loadtest, "relay", "--json", "--sip", f"127.0.0.1:{lab.sip}", "--to", f"sip:more@127.0.0.1:{lab.sip}",
                           "--callee", f"127.0.0.1:{lab.spare}", "--calls", str(MORE), "--rate", "40", "--seconds", "1"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    more = json.loads(more.strip().splitlines()[-1])["answered"] if more.strip() else 0
    died = lab.server.poll() is not None
    if died:
        ended = time.monotonic()
        lab.start()
    else:
        group.limit(1 << 40)
        ended = time.monotonic()
    until("a call is answered again", lab.probe)
    recovered = time.monotonic() - ended
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    note = (f"the process {'ended' if died else 'went on'}; of {MORE} new calls meanwhile {more} were answered; "
            f"recovered: from {'its end' if died else 'the end of the limit'} to a new call")
    lab.verdict(report, known - lab.records(), recovered, note)
finally:
    lab.stop()
    group.remove()
