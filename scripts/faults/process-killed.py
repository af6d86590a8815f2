#!/usr/bin/env python3
"""The process is killed (SIGKILL) while calls are up, and started again at once, as systemd does."""

import signal
import time

from lab import CALLS, Lab, until


def body(lab):
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
    kept = lab.ask("/v1/calls?state=ended&limit=1000")["calls"]
    cut = [call for call in kept if call["route"] == "load"]
    lab.verdict(report, known - len(cut), recovered, "audio that went past us would have lived on; new calls from then on")


lab = Lab("process killed", "[store]\nfolder = \"data\"\n")
try:
    lab.start()
    body(lab)
finally:
    lab.stop()
assert CALLS > 0
