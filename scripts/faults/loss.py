#!/usr/bin/env python3
"""30 % of packets are lost between callers and server, one by one and in bursts: no call ends for it, and the server loses
none besides."""

from lab import Lab, until


def lossy(name, *how):
    lab = Lab(f"30 % loss, {name}", '[listening]\nenabled = true\n[store]\nfolder = "data"\n', calls=8)
    try:
        lab.start()
        lab.call(14, *how)
        seen = lab.metric("calmline_observations_total")
        until("observations go on", lambda: lab.metric("calmline_observations_total") > seen)
        answers = lab.probe()
        lab.count()
        report = lab.finish()
        until("every call is over", lambda: lab.active() == 0)
        network = report["network_lost"]
        note = f"{network} packets lost by the network; packets_lost are those the server lost besides; a new call was " \
               f"{'answered' if answers else 'refused'}"
        lab.verdict(report, lab.calls - lab.records(), 0.0, note)
    finally:
        lab.stop()


lossy("one by one", "--loss", "30")
lossy("in bursts", "--loss-bursts", "30")
