#!/usr/bin/env python3
"""The emotion model's file is replaced by garbage while calls are up, the configuration is read again, and later a server
starts with it. Skipped aloud where there is no model; without ONNX Runtime (`scripts/fetch-onnxruntime`) the model is down before, too."""

import os
import shutil
import sys
import time

from lab import ROOT, Lab, until

model = ROOT / "nlu" / "models" / "acoustic.onnx"
if not model.exists():
    found = sorted((ROOT / "nlu" / "models").glob("*.onnx"))
    model = found[0] if found else model
if not model.exists():
    sys.exit("skipped: no model")

lab = Lab("model garbage", '[listening]\nenabled = true\nmodel = "own.onnx"\n[store]\nfolder = "data"\n', calls=4)
own = lab.folder / "own.onnx"
shutil.copy(model, own)
try:
    lab.start()
    has_model = lab.ask("/readyz", wants=(200, 503))["components"].get("model")
    lab.call(14)
    own.write_bytes(os.urandom(100_000))
    broken = time.monotonic()
    taken = lab.ask("/v1/reload", method="POST", wants=(200, 422, 503))
    time.sleep(3)
    seen = lab.metric("calmline_observations_total")
    until("observations go on", lambda: lab.metric("calmline_observations_total") > seen)
    until("a call is answered", lab.probe)
    recovered = time.monotonic() - broken - 3
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    records = lab.records()
    lab.signal(15)
    lab.server.wait()
    lab.start()
    again = lab.probe()
    kept = "refused" if taken and "status" in taken else "taken"
    note = (f"model {has_model} before; the reload was {kept}; a server that starts with it "
            f"{'takes calls' if again else 'takes no calls'}, and says {len(lab.said('listening without it'))} times that it is left out")
    lab.verdict(report, lab.calls - records, recovered, note)
finally:
    lab.stop()
