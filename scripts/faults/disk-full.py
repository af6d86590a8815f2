#!/usr/bin/env python3
"""The store's disk (a tmpfs of 24 MB of its own, so root is needed) is full while calls are up, and has room again later."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import Lab, until

if os.environ.get("CALMLINE_FAULTS_MOUNTED") is None:
    os.environ["CALMLINE_FAULTS_MOUNTED"] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])

disk = Path(tempfile.mkdtemp(prefix="calmline-disk-"))
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
lab = Lab("disk full", f'[store]\nfolder = "{disk}/data"\n')
try:
    lab.start()
    lab.call(12)
    filler = disk / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    time.sleep(4)
    lab.count()
    answers = lab.probe()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    time.sleep(2)
    while_full = lab.ask("/readyz", wants=(200, 503))["components"]["store"]
    filler.unlink()
    freed = time.monotonic()
    until("the store is up", lambda: lab.ask("/readyz", wants=(200, 503))["components"]["store"] == "up", 60)
    recovered = time.monotonic() - freed
    lab.signal(15)
    lab.server.wait()
    lab.start()
    note = f"store {while_full} meanwhile; a new call was {'answered' if answers else 'refused'}; records counted after a restart"
    lab.verdict(report, lab.calls - lab.records(), recovered, note)
finally:
    lab.stop()
    subprocess.run(["umount", disk], check=False)
    disk.rmdir()
