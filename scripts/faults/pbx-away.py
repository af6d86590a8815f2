#!/usr/bin/env python3
"""A PBX's API (AMI) goes away while calls are up, and comes back: calls go on, and it is connected again by itself."""

import socket
import threading
import time

from lab import Lab, until


class Manager:
    """As much of Asterisk's manager as it takes to be signed in."""

    def __init__(self, port):
        self.port = port
        self.socket = None
        self.clients = []

    def open(self):
        self.socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.socket,), daemon=True).start()

    def accept(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client):
        try:
            client.sendall(b"Asterisk Call Manager/9.0.0\r\n")
            waiting = b""
            while piece := client.recv(4_096):
                waiting += piece
                while b"\r\n\r\n" in waiting:
                    action, waiting = waiting.split(b"\r\n\r\n", 1)
                    number = [line for line in action.split(b"\r\n") if line.lower().startswith(b"actionid:")]
                    client.sendall(b"\r\n".join([b"Response: Success", *number, b"Message: fine"]) + b"\r\n\r\n")
        except OSError:
            pass

    def close(self):
        # What is accepted at this moment would keep the port open.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for client in self.clients:
            client.close()
        self.clients.clear()


lab = Lab("PBX API away", '[store]\nfolder = "data"\n[pbx.asterisk]\nkind = "ami"\naddress = "127.0.0.1:{spare}"\nuser = "calmline"\n'
          'secret_env = "CALMLINE_TOKEN"\n')
manager = Manager(lab.spare)
manager.open()
try:
    lab.start()
    up = 'calmline_pbx_up{pbx="asterisk"}'
    until("it is connected", lambda: lab.metric(up) == 1)
    lab.call(14)
    manager.close()
    until("it is known to be away", lambda: lab.metric(up) == 0)
    time.sleep(4)
    answers = lab.probe()
    manager.open()
    opened = time.monotonic()
    until("it is connected again", lambda: lab.metric(up) == 1, 60)
    recovered = time.monotonic() - opened
    lab.count()
    report = lab.finish()
    until("every call is over", lambda: lab.active() == 0)
    note = f"a new call meanwhile was {'answered' if answers else 'refused'}; recovered: connected and signed in again"
    lab.verdict(report, lab.calls - lab.records(), recovered, note)
finally:
    lab.stop()
