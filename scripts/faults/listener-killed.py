#!/usr/bin/env python3
"""The listening thread ends, panics or hangs while calls are up: the calls go on, and listening comes back.

Four calls, so that a build without optimisation keeps up with listening to them."""

import time

from lab import Lab, until


def broken_by(chaos, cause):
    lab = Lab(f"listener {chaos}", "[listening]\nenabled = true\n[store]\nfolder = \"data\"\n", arguments=["--chaos", f"{chaos}@8"], calls=4)
    try:
        lab.start()
        lab.call(16)
        counter = f'calmline_listener_restarts_total{{cause="{cause}"'
        until("the thread breaks and another one starts", lambda: lab.metric(counter) >= 1)
        restarted = time.monotonic()
        # The fault comes 8 s after the start of the thread, which is no later than the server answers.
        seen = lab.metric("calmline_observations_total")
        until("observations come again", lambda: lab.metric("calmline_observations_total") > seen)
        recovered = time.monotonic() - restarted
        lab.count()
        report = lab.finish()
        until("every call is over", lambda: lab.active() == 0)
        lab.verdict(report, lab.calls - lab.records(), recovered, "from the restart to the next observation")
    finally:
        lab.stop()


for chaos, cause in (("kill", "end"), ("panic", "panic"), ("stall", "stall")):
    broken_by(chaos, cause)
