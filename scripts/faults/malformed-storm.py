#!/usr/bin/env python3
"""2,000 malformed and tortured SIP messages a second (RFC 4475 and cuts of it) from a trusted address while calls are up."""

import random
import time

from lab import ROOT, Lab, until
from storm import Storm

random.seed(1)
TORTURE = [path.read_bytes() for path in sorted((ROOT / "fixtures" / "sip" / "torture").rglob("*")) if path.is_file()]
TORTURE = [message for message in TORTURE if 0 < len(message) <= 8_000]


def bent(message):
    """The message cut, doubled or with octets changed."""
    octets = bytearray(message)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(octets))
        octets[at] = random.randrange(256)
    return bytes(octets[: random.randint(1, len(octets))] if random.random() < 0.3 else octets)


MESSAGES = TORTURE + [bent(random.choice(TORTURE)) for _ in range(500)]

lab = Lab("malformed storm", '[store]\nfolder = "data"\n')
try:
    lab.start()
    lab.call(14)
    with Storm([("127.0.0.1", lab.sip)], MESSAGES, 2_000) as storm:
        time.sleep(3)
        answers = [lab.probe_raw() for _ in range(10)]
        answered = lab.probe()
        time.sleep(2)
    ended = time.monotonic()
    until("a call is answered", lab.probe)
    recovered = time.monotonic() - ended
    active = lab.active()
    lab.counted = min(active, lab.calls)
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0, 60)
    slowest = max((answer for answer in answers if answer is not None), default=None)
    malformed = int(lab.metric('calmline_sip_refused_total{reason="malformed"}'))
    note = (f"{storm.sent} messages, {storm.answers} answers, {malformed} refused as malformed; "
            f"{sum(answer is not None for answer in answers)} of 10 OPTIONS answered meanwhile, the slowest after "
            f"{0 if slowest is None else slowest * 1_000:.0f} ms; a new call meanwhile was {'answered' if answered else 'refused'}; "
            f"{len(lab.said('panicked'))} panics")
    lab.verdict(report, lab.calls - lab.records(), recovered, note)
finally:
    lab.stop()
