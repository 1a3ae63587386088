"""The Python app of the virtual machine: says who greets, and by which interpreter."""

import os
import platform
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import greeting


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = f"{greeting.TEXT}, {sys.executable}, {sys.base_prefix}, {platform.python_version()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
