#!/usr/bin/env python3
"""PostgreSQL hangs (SIGSTOP), then ends and comes back, while calls are up and after some of them have ended.

Runs inside `pg_virtualenv` (Debian: postgresql-common), which it calls by itself.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

from lab import Lab, until

if "PGPORT" not in os.environ:
    if not shutil.which("pg_virtualenv"):
        sys.exit("pg_virtualenv is not here: apt-get install postgresql")
    os.execvp("pg_virtualenv", ["pg_virtualenv", sys.executable, *sys.argv])


def postmaster():
    """The database's first process."""
    folder = subprocess.run(["psql", "-tAc", "show data_directory", "postgres"], stdout=subprocess.PIPE, text=True, check=True)
    folder = folder.stdout.strip()
    with open(f"{folder}/postmaster.pid", encoding="utf-8") as file:
        return int(file.readline())


def everybody(of):
    """It and its children."""
    children = subprocess.run(["pgrep", "-P", str(of)], stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    return [of, *map(int, children)]


def store(lab):
    return lab.ask("/readyz", wants=(200, 503))["components"]["store"]


def hangs(lab, first):
    for process in everybody(first):
        os.kill(process, signal.SIGSTOP)


def goes_on(lab, first):
    for process in everybody(first):
        os.kill(process, signal.SIGCONT)


def away(lab, _):
    clusters = subprocess.run(["pg_lsclusters", "-h"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    # That of this run alone: by its port.
    ours = next(cluster.split() for cluster in clusters if cluster.split()[2] == os.environ["PGPORT"])
    lab.cluster = ours[:2]
    subprocess.run(["pg_ctlcluster", *lab.cluster, "stop", "-m", "immediate"], check=True)


def back(lab, _):
    subprocess.run(["pg_ctlcluster", *lab.cluster, "start"], check=True)


def without(name, begin, end):
    user, host, port = (os.environ[key] for key in ("PGUSER", "PGHOST", "PGPORT"))
    database = f'database = "postgres://{user}@{host}:{port}/postgres"'
    lab = Lab(f"database {name}", f'[store]\nfolder = "data"\n{database}\n')
    try:
        subprocess.run(["psql", "-qc", "drop schema public cascade; create schema public", "postgres"], check=True,
                       stderr=subprocess.DEVNULL)
        lab.start()
        first = postmaster()
        lab.call(10)
        begin(lab, first)
        lab.count()
        answers = lab.probe()
        report = lab.finish()
        until("every call is over", lambda: lab.active() == 0)
        until("the store is known to be away", lambda: store(lab) == "down", 60)
        end(lab, first)
        ended = time.monotonic()
        until("the store is up", lambda: store(lab) == "up", 90)
        recovered = time.monotonic() - ended
        # What was told meanwhile is in the database, and not only remembered.
        time.sleep(3)
        lab.signal(signal.SIGTERM)
        lab.server.wait()
        lab.start()
        note = (f"a new call meanwhile was {'answered' if answers else 'refused'}; recovered: from the database's return until the "
                "store is up; records counted after a restart")
        lab.verdict(report, lab.calls - lab.records(), recovered, note)
    finally:
        lab.stop()


without("hangs", hangs, goes_on)
without("away", away, back)
