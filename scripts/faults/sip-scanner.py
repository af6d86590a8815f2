#!/usr/bin/env python3
"""A scanner from an address that nobody trusts: OPTIONS, REGISTER and INVITE for one extension after another, 1,000 a second."""

import time

from lab import Lab, until
from storm import Storm

STRANGER = "127.0.0.66"


def asks(method, extension, server):
    number = f"{method}{extension}"
    return (f"{method} sip:{extension}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bK{number};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{extension}@{server}>;tag={number}\r\nTo: <sip:{extension}@{server}>\r\n"
            f"Call-ID: {number}\r\nCSeq: 1 {method}\r\nContact: <sip:{extension}@{STRANGER}>\r\nUser-Agent: friendly-scanner\r\n"
            f"Content-Length: 0\r\n\r\n").encode()


lab = Lab("SIP scanner", '[store]\nfolder = "data"\n')
try:
    lab.start()
    lab.call(14)
    server = f"127.0.0.1:{lab.sip}"
    messages = [asks(method, extension, server) for extension in range(100, 600) for method in ("OPTIONS", "REGISTER", "INVITE")]
    with Storm([("127.0.0.1", lab.sip)], messages, 1_000, source=STRANGER) as storm:
        time.sleep(3)
        answered = lab.probe()
        time.sleep(2)
    ended = time.monotonic()
    until("a call is answered", lab.probe)
    recovered = time.monotonic() - ended
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    unknown = int(lab.metric('calmline_sip_refused_total{reason="unknown_source"}'))
    note = (f"{storm.sent} requests, {unknown} refused, {storm.answers} answers; {len(lab.said('reason=unknown_source'))} lines for "
            f"fail2ban; a new call meanwhile was {'answered' if answered else 'refused'}")
    lab.verdict(report, lab.calls - lab.records(), recovered, note)
finally:
    lab.stop()
