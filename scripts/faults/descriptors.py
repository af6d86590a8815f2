#!/usr/bin/env python3
"""The process may open no more files while calls are up (`prlimit`), and may again later."""

import os
import subprocess
import time

from lab import Lab, until

lab = Lab("descriptors exhausted", '[store]\nfolder = "data"\n')
try:
    lab.start()
    lab.call(16)
    process = lab.server.pid
    used = len(os.listdir(f"/proc/{process}/fd"))
    before = subprocess.run(["prlimit", "--pid", str(process), "--nofile", "--output", "SOFT", "--noheadings"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    subprocess.run(["prlimit", "--pid", str(process), f"--nofile={used}:"], check=True)
    refused = not lab.probe()
    sip = lab.probe_raw()
    time.sleep(3)
    subprocess.run(["prlimit", "--pid", str(process), f"--nofile={before}:"], check=True)
    freed = time.monotonic()
    until("a call is answered again", lab.probe)
    recovered = time.monotonic() - freed
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    note = (f"{used} files were open; new calls meanwhile were {'refused' if refused else 'answered'}, OPTIONS "
            f"{'answered' if sip is not None else 'not answered'}")
    lab.verdict(report, lab.calls - lab.records(), recovered, note)
finally:
    lab.stop()
