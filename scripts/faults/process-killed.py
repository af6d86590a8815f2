#!/usr/bin/env python3
"""The process is killed (SIGKILL) while calls are up, and started again at once, as systemd does."""

import signal
import time

from lab import Lab, until

lab = Lab("process killed", '[store]\nfolder = "data"\n')
try:
    lab.start()
    lab.call(14)
    time.sleep(3)
    known = lab.active()
    lab.signal(signal.SIGKILL)
    killed = time.monotonic()
    lab.server.wait()
    lab.start()
    until("a call is answered again", lab.probe)
    recovered = time.monotonic() - killed
    lab.count()
    report = lab.finish()
    note = "the calls' audio is lost until their ends hang up; recovered: from the kill to a new call"
    lab.verdict(report, known - lab.records(), recovered, note)
finally:
    lab.stop()
