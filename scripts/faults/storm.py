"""Senders of too much: bounded, on loopback alone."""

import socket
import threading
import time


class Storm:
    """Sends datagrams of `messages` in turn to `targets`, at most so many a second, until it is stopped."""

    def __init__(self, targets, messages, per_second, source="127.0.0.1"):
        self.targets, self.messages, self.per_second, self.source = targets, messages, per_second, source
        self.sent = 0
        self.answers = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.rage, daemon=True)

    def rage(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((self.source, 0))
            sender.setblocking(False)
            began = time.monotonic()
            while not self.stopping.is_set():
                for _ in range(50):
                    target = self.targets[self.sent % len(self.targets)]
                    try:
                        sender.sendto(self.messages[self.sent % len(self.messages)], target)
                    except OSError:
                        pass
                    self.sent += 1
                self.take(sender)
                ahead = self.sent / self.per_second - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)
            time.sleep(0.5)
            self.take(sender)

    def take(self, sender):
        while True:
            try:
                sender.recv(4_096)
                self.answers += 1
            except OSError:
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
