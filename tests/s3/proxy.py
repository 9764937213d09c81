"""A proxy for HTTP on this machine that loses, delays, cuts and answers with 500 as it is told."""

import contextlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAYS = ("500", "503", "timeout", "cut before", "cut after", "partly", "late")
ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>made up by the proxy</Message></Error>"
HOP = ("connection", "keep-alive", "transfer-encoding", "expect")


class Proxy:
    """`rate` of all requests go wrong in one of `ways`; `faults` counts them, `requests` what was asked."""

    def __init__(self, port, rate=0.0, ways=WAYS, seed=0, silence_s=3.0):
        self.port, self.rate, self.ways, self.silence_s = port, rate, ways, silence_s
        self.faults, self.requests, self.environment = Counter(), Counter(), {}
        self._random, self._lock = random.Random(seed), threading.Lock()
        handler = type("Handler", (Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def fate(self, method):
        """What becomes of a request: None, or a way to go wrong."""
        with self._lock:
            self.requests[method] += 1
            if self._random.random() >= self.rate:
                return None
            way = self._random.choice(self.ways)
            if way in ("partly", "late") and method != "PUT":
                way = "cut before"
            self.faults[way] += 1
            return way


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    proxy = None

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        way = self.proxy.fate(self.command)
        if way in ("500", "503"):
            code = "InternalError" if way == "500" else "SlowDown"
            self._answer(int(way), [("Content-Type", "application/xml")], ERROR.format(code=code).encode())
        elif way == "timeout":
            time.sleep(self.proxy.silence_s)
            self._cut()
        elif way == "cut before":
            self._cut()
        elif way == "partly":
            self._send_half(body)
            self._cut()
        elif way == "late":
            self._cut()
            time.sleep(0.5)
            self._forward(body)
        else:
            answer = self._forward(body)
            self._cut() if way == "cut after" else self._answer(*answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

    def _forward(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content

    def _send_half(self, body):
        """The server is promised all of it, gets half, and the connection ends."""
        lines = [f"{self.command} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in HOP]
        with socket.create_connection(("127.0.0.1", self.proxy.port), 60) as server:
            server.sendall("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])
            server.shutdown(socket.SHUT_WR)
            server.settimeout(5)
            try:
                while server.recv(4096):
                    pass
            except OSError:
                pass

    def _answer(self, status, headers, content):
        try:
            self.send_response_only(status)
            length = [value for name, value in headers if name.lower() == "content-length"]
            for name, value in headers:
                if name.lower() not in (*HOP, "content-length"):
                    self.send_header(name, value)
            whole = self.command != "HEAD" or not length
            self.send_header("Content-Length", str(len(content)) if whole else length[0])
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def _cut(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_):
        pass
