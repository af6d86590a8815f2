#!/usr/bin/env python3
"""The process gets no more memory (`prlimit --as`, at what it has and 1 MB) while calls are up and more come, and may again later.

What allocates and gets nothing ends the process, as the kernel's killer would: then it is started again, and the figures are those
of a killed process."""

import json
import subprocess
import time

from lab import Lab, until


def has(process):
    with open(f"/proc/{process}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * 4_096


MORE = 120

lab = Lab("memory limit", '[store]\nfolder = "data"\n[targets.more]\nuri = "sip:more@127.0.0.1:{spare}"\n'
          '[[route]]\nname = "more"\nmatch = {{ request_uri = "sip:more@*" }}\ntargets = ["more"]\nscenario = "load"\n')
try:
    lab.start()
    lab.call(24)
    known = lab.active()
    process = lab.server.pid
    subprocess.run(["prlimit", "--pid", str(process), f"--as={has(process) + (1 << 20)}:"], check=True)
    more = subprocess.run([lab.loadtest, "relay", "--json", "--sip", f"127.0.0.1:{lab.sip}", "--to", f"sip:more@127.0.0.1:{lab.sip}",
                           "--callee", f"127.0.0.1:{lab.spare}", "--calls", str(MORE), "--rate", "40", "--seconds", "1"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    more = json.loads(more.strip().splitlines()[-1])["answered"] if more.strip() else 0
    died = lab.server.poll() is not None
    if died:
        ended = time.monotonic()
        lab.start()
    else:
        subprocess.run(["prlimit", "--pid", str(process), "--as=unlimited:"], check=True)
        ended = time.monotonic()
    until("a call is answered again", lab.probe)
    recovered = time.monotonic() - ended
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    note = (f"the process {'ended' if died else 'went on'}; of {MORE} new calls meanwhile {more} were answered; "
            f"recovered: from {'its end' if died else 'the end of the limit'} to a new call")
    lab.verdict(report, known - lab.records(), recovered, note)
finally:
    lab.stop()
