"""What every fault is tried on: the built program on loopback with calls through it, and what is counted of them.

A fault is a script beside this one. It describes a server, says what breaks while calls are up, and ends with a verdict: one
line of JSON with calls lost, audio lost, records lost and the time until the next new call is answered again. Nothing but
Python's own library is needed; `CALMLINE` and `LOADTEST` name the programs (default: those of `target/release`, else of
`target/debug`).
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALLS = int(os.environ.get("CALLS", "20"))
TOKEN = "faults-0123456789abcdef"
WITHIN_S = 30

SAMPLE = """
[sip]
listen = "127.0.0.1:{sip}"
trusted = ["127.0.0.1/32"]
[media]
address = "127.0.0.1"
ports = "{rtp}-{rtp_last}"
port_rest_s = 0
[web]
listen = "127.0.0.1:{web}"
token_env = "CALMLINE_TOKEN"
[limits]
calls = 200
drain_s = 0
[limits.overload]
enabled = false
[policy]
folder = "policies"
prompts = "policies"
[targets.callee]
uri = "sip:callee@127.0.0.1:{callee}"
[[route]]
name = "load"
match = {{ request_uri = "sip:load@*" }}
targets = ["callee"]
scenario = "load"
[targets.probed]
uri = "sip:probed@127.0.0.1:{probed}"
[[route]]
name = "probe"
match = {{ request_uri = "sip:probe@*" }}
targets = ["probed"]
scenario = "load"
"""
POLICY = '''name = "load"
version = 1
scenarios = ["load"]
[[rule]]
id = "pressed"
when = { key = "1" }
then = [{ alert = "info", text = "pressed" }]
'''


def program(name, variable):
    """The built program, and whether it was built with or without optimisation."""
    if variable in os.environ:
        return Path(os.environ[variable]).resolve(), "given"
    for build in ("release", "debug"):
        path = ROOT / "target" / build / name
        if path.exists():
            return path, build
    sys.exit(f"{name} is not built: cargo build --release --workspace")


def free_ports(count):
    """Ports nobody has now; even ones, and far from where others are given out."""
    found, port = [], 30_000 + os.getpid() % 500 * 40
    while len(found) < count:
        port += 2
        if all(is_free(kind, port) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            found.append(port)
    return found


def is_free(kind, port):
    with socket.socket(socket.AF_INET, kind) as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def until(what, so, within_s=WITHIN_S, every_s=0.02):
    """Waits until something is so; how long that took, in seconds."""
    began = time.monotonic()
    while not so():
        if time.monotonic() - began > within_s:
            sys.exit(f"not so within {within_s} s: {what}")
        time.sleep(every_s)
    return time.monotonic() - began


def description(port):
    """What a telephone without sound says of its audio."""
    return (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port // 2 * 2} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")


def header(message, name):
    """A header's value."""
    found = re.search(rf"^{name}\s*:\s*(.*?)\r$", message, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else ""


class Answering(threading.Thread):
    """A telephone that answers every call at once, says nothing, and takes every goodbye."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.start()

    def run(self):
        while True:
            try:
                message, source = self.socket.recvfrom(16_384)
            except OSError:
                return
            message = message.decode(errors="replace")
            method = message.split(" ", 1)[0]
            if method == "ACK" or method.startswith("SIP/"):
                continue
            body = description(self.port) if method == "INVITE" else ""
            vias = "".join(f"Via: {via}\r\n" for via in re.findall(r"^Via\s*:\s*(.*?)\r$", message, re.MULTILINE))
            to = header(message, "To")
            to = to if ";tag=" in to else f"{to};tag={time.monotonic_ns()}"
            kind = "Content-Type: application/sdp\r\n" if body else ""
            self.socket.sendto((f"SIP/2.0 200 OK\r\n{vias}From: {header(message, 'From')}\r\nTo: {to}\r\n"
                                f"Call-ID: {header(message, 'Call-ID')}\r\nCSeq: {header(message, 'CSeq')}\r\n"
                                f"Contact: <sip:probed@127.0.0.1:{self.port}>\r\n{kind}"
                                f"Content-Length: {len(body)}\r\n\r\n{body}").encode(), source)


class Lab:
    """A server, the calls through it, and its verdict."""

    def __init__(self, fault, sections="", policy=POLICY, arguments=(), environment=None, calls=CALLS):
        self.fault = fault
        self.calmline, self.build = program("calmline", "CALMLINE")
        self.loadtest, _ = program("loadtest", "LOADTEST")
        self.calls = calls
        self.folder = Path(tempfile.mkdtemp(prefix=f"calmline-{fault.replace(' ', '-')}-"))
        self.sip, self.web, self.callee, self.probed, self.spare = free_ports(5)
        # Ranges of scripts that run at the same time lie apart, below the ports that systems give out by themselves.
        self.rtp = 10_000 + os.getpid() % 20 * 1_000
        ports = {"sip": self.sip, "web": self.web, "callee": self.callee, "probed": self.probed, "rtp": self.rtp,
                 "rtp_last": self.rtp + 998, "spare": self.spare, "folder": self.folder}
        (self.folder / "policies").mkdir(parents=True, exist_ok=True)
        (self.folder / "policies" / "load.toml").write_text(policy)
        self.config = self.folder / "calmline.toml"
        self.config.write_text(SAMPLE.format(**ports) + sections.format(**ports))
        self.arguments = list(arguments)
        self.environment = {**os.environ, "CALMLINE_TOKEN": TOKEN, **(environment or {})}
        self.log = open(self.folder / "server.log", "ab")
        self.answering = Answering(self.probed)
        self.server = None
        self.load = None
        self.counted = None

    def start(self):
        """Starts the server; seconds until it is ready for calls."""
        command = [self.calmline, "serve", "--config", self.config, *self.arguments]
        self.server = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log)
        waited = until("the server answers", lambda: self.ready() or self.server.poll() is not None)
        if self.server.poll() is not None:
            sys.exit("the server ended:\n" + "\n".join(self.said("")[-20:]))
        return waited

    def ready(self):
        try:
            return self.ask("/readyz", wants=(200, 503)) is not None
        except (OSError, urllib.error.URLError):
            return False

    def ask(self, path, wants=(200,), method="GET", body=None):
        """An answer of the API; None when the status is another one."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.web}{path}", data=data, method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code not in wants:
                return None
            text = error.read().decode()
        return text if path == "/metrics" else json.loads(text or "null")

    def metric(self, beginning):
        """The sum of a metric over the lines that begin so."""
        lines = self.ask("/metrics").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(beginning))

    def active(self):
        return int(self.metric("calmline_calls_active"))

    def call(self, seconds, *arguments):
        """Begins the calls; all are up when this returns. They end by themselves after so many seconds."""
        command = [self.loadtest, "relay", "--json", "--sip", f"127.0.0.1:{self.sip}", "--callee",
                   f"127.0.0.1:{self.callee}", "--calls", str(self.calls), "--rate", "20", "--seconds", str(seconds), *arguments]
        self.load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.seconds = seconds
        until("all calls are up", lambda: self.active() == self.calls)
        time.sleep(1)

    def count(self):
        """How many of the calls are up still, before they are hung up; a probe's call has had its time to end."""
        time.sleep(1)
        self.counted = self.active()
        return self.counted

    def finish(self):
        """Waits for the end of the calls; what the telephones counted."""
        report, _ = self.load.communicate(timeout=self.seconds + 60)
        return json.loads(report.strip().splitlines()[-1])

    def probe(self, within_s=2.0):
        """One call from INVITE to 200 and BYE, to a telephone of its own; whether it was answered."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(within_s)
            port, number = phone.getsockname()[1], time.monotonic_ns()
            server = f"127.0.0.1:{self.sip}"

            def say(method, sequence, to, body=""):
                kind = "Content-Type: application/sdp\r\n" if body else ""
                phone.sendto((f"{method} sip:probe@{server} SIP/2.0\r\n"
                              f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number}{method};rport\r\nMax-Forwards: 70\r\n"
                              f"From: <sip:probe@127.0.0.1>;tag={number}\r\nTo: {to}\r\nCall-ID: {number}\r\n"
                              f"CSeq: {sequence} {method}\r\nContact: <sip:probe@127.0.0.1:{port}>\r\n{kind}"
                              f"Content-Length: {len(body)}\r\n\r\n{body}").encode(), ("127.0.0.1", self.sip))

            def final():
                while True:
                    answer = phone.recv(8_192).decode(errors="replace")
                    if answer.startswith("SIP/2.0 ") and not answer.startswith("SIP/2.0 1"):
                        return answer

            try:
                say("INVITE", 1, f"<sip:probe@{server}>", description(port))
                answer = final()
                to = header(answer, "To")
                say("ACK", 1, to)
                if not answer.startswith("SIP/2.0 200"):
                    return False
                say("BYE", 2, to)
                return final().startswith("SIP/2.0 200")
            except OSError:
                return False

    def probe_raw(self, within_s=1.0):
        """Whether SIP is answered at all: an OPTIONS. Seconds it took, or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(within_s)
            port, number = phone.getsockname()[1], time.monotonic_ns()
            message = (f"OPTIONS sip:load@127.0.0.1:{self.sip} SIP/2.0\r\n"
                       f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n"
                       f"From: <sip:probe@127.0.0.1>;tag={number}\r\nTo: <sip:load@127.0.0.1>\r\nCall-ID: {number}\r\n"
                       f"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            began = time.monotonic()
            try:
                phone.sendto(message.encode(), ("127.0.0.1", self.sip))
                phone.recv(4_096)
            except OSError:
                return None
            return time.monotonic() - began

    def records(self):
        """How many ended calls of the load the server knows."""
        kept = self.ask("/v1/calls?state=ended&limit=1000")["calls"]
        return sum(1 for call in kept if call["route"] == "load")

    def signal(self, which):
        self.server.send_signal(which)

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGCONT)
            self.server.terminate()
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        if self.load and self.load.poll() is None:
            self.load.kill()
        self.answering.socket.close()
        self.log.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def said(self, pattern):
        """Lines of the server's log that have it."""
        self.log.flush()
        text = (self.folder / "server.log").read_text(errors="replace")
        return [line for line in text.splitlines() if re.search(pattern, line)]

    def verdict(self, report, records_lost, recovered_s, note=""):
        """Prints the verdict of the fault."""
        up = report["answered"]
        sent_ms = report["packets_sent"] * 20
        lost = {
            "fault": self.fault,
            "build": self.build,
            "calls": up,
            "calls_lost": up - self.counted,
            # What never came of what was sent, and for how much of its time the worst stream was silent.
            "audio_lost_percent": round(max(0.0, 100 - report["delivered"]["percent_of_sent"]), 2),
            "audio_lost_ms_per_call": round(sent_ms * max(0.0, 1 - report["delivered"]["percent_of_sent"] / 100) / max(up, 1)),
            "worst_stream_percent": round(report["delivered"]["percent_of_time_min"], 1),
            "packets_lost": report["packets_lost"] - report["network_lost"],
            "records_lost": records_lost,
            "recovered_s": None if recovered_s is None else round(recovered_s, 2),
            "note": note,
        }
        print(json.dumps(lost))
        return lost

