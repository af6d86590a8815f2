#!/usr/bin/env python3
"""The listening thread ends, panics or hangs while calls are up: the calls go on, and listening comes back.

Four calls, so that a build without optimisation keeps up with listening to them."""

import re
import time

from lab import Lab, until


def broken_by(chaos):
    lab = Lab(f"listener {chaos}", "[listening]\nenabled = true\n[store]\nfolder = \"data\"\n", arguments=["--chaos", f"{chaos}@8"], calls=4)
    try:
        lab.start()
        lab.call(16)
        until("the thread breaks and another one starts", lambda: lab.metric("calmline_listener_restarts_total") >= 1)
        restarted = time.monotonic()
        seen = lab.metric("calmline_observations_total")
        until("observations come again", lambda: lab.metric("calmline_observations_total") > seen)
        recovered = time.monotonic() - restarted
        lab.count()
        report = lab.finish()
        until("every call is over", lambda: lab.active() == 0)
        # On a machine that is too busy to listen, the guard may have been there before the fault.
        causes = sorted(set(re.findall('calmline_listener_restarts_total{cause="([a-z_]+)"', lab.ask("/metrics"))))
        note = f"cause: {', '.join(causes)}; recovered: from the restart to the next observation"
        lab.verdict(report, lab.calls - lab.records(), recovered, note)
    finally:
        lab.stop()


for chaos in ("kill", "panic", "stall"):
    broken_by(chaos)
