#!/usr/bin/env python3
"""20,000 datagrams a second of noise to SIP and to the RTP ports of calls that are up, from the address of the far ends."""

import random
import time

from lab import Lab, until
from storm import Storm

random.seed(1)
NOISE = [random.randbytes(random.choice((12, 40, 172, 600, 1_400))) for _ in range(64)]
# Some of it looks like RTP, some like RTCP.
NOISE += [b"\x80" + random.randbytes(171) for _ in range(32)] + [b"\x80\xc8" + random.randbytes(50) for _ in range(16)]

lab = Lab("UDP flood", '[listening]\nenabled = true\n[store]\nfolder = "data"\n')
try:
    lab.start()
    lab.call(14)
    targets = [("127.0.0.1", lab.sip)] + [("127.0.0.1", port) for port in range(lab.rtp, lab.rtp + 4 * lab.calls, 2)]
    with Storm(targets, NOISE, 20_000) as storm:
        time.sleep(3)
        answers = [lab.probe_raw() for _ in range(10)]
        answered = lab.probe()
        time.sleep(2)
    ended = time.monotonic()
    until("a call is answered", lab.probe)
    recovered = time.monotonic() - ended
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    slowest = max((answer for answer in answers if answer is not None), default=None)
    refused = int(lab.metric("calmline_media_packets_refused_total"))
    note = (f"{storm.sent} datagrams in about 6 s; {sum(answer is not None for answer in answers)} of 10 OPTIONS answered meanwhile, the "
            f"slowest after {0 if slowest is None else slowest * 1_000:.0f} ms; a new call meanwhile was "
            f"{'answered' if answered else 'refused'}; {refused} refused on RTP ports; {len(lab.said('reason=malformed'))} lines in the log")
    lab.verdict(report, lab.calls - lab.records(), recovered, note)
finally:
    lab.stop()
