#!/usr/bin/env python3
"""The time of day steps an hour forward and an hour back while calls are up (libfaketime from Debian's `faketime`; the clock
that never steps is left alone, as the kernel leaves it)."""

import glob
import os
import sys
import time

from lab import Lab, until

libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
if not libraries:
    sys.exit("skipped: no libfaketime: apt-get install faketime")

stamp = os.path.join("/tmp", f"calmline-clock-{os.getpid()}")


def step(offset):
    with open(f"{stamp}.new", "w", encoding="ascii") as file:
        file.write(offset + "\n")
    os.replace(f"{stamp}.new", stamp)


step("+0")
environment = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": stamp, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
               "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
lab = Lab("clock step", '[listening]\nenabled = true\n[store]\nfolder = "data"\n', environment=environment, calls=4)
try:
    lab.start()
    lab.call(16)
    steps = []
    for offset in ("+1h", "-1h", "+0"):
        step(offset)
        stepped = time.monotonic()
        until("a call is answered", lab.probe)
        steps.append(time.monotonic() - stepped)
        seen = lab.metric("calmline_observations_total")
        until("observations go on", lambda: lab.metric("calmline_observations_total") > seen)
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    days = {call["started"][:13] for call in lab.ask("/v1/calls?state=ended&limit=100")["calls"]}
    note = f"an hour forward, an hour back of what it was, and to rights again; probes began in the hours {', '.join(sorted(days))}"
    lab.verdict(report, lab.calls - lab.records(), max(steps), note)
finally:
    lab.stop()
    os.unlink(stamp)
