"""What the two small services of the quickstart share: JSON over HTTP with the standard library."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class JsonHandler(BaseHTTPRequestHandler):
    """Reads and answers JSON, keeps connections open, and logs errors only."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def body(self):
        """The request's JSON, or None where it is none."""
        try:
            return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        except ValueError:
            return None

    def reply(self, status, value):
        """One JSON answer, in one write: two would wait for each other's acknowledgement."""
        payload = json.dumps(value).encode()
        self.log_request(status)
        head = "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
            status,
            self.responses[status][0],
            len(payload),
        )
        self.wfile.write(head.encode() + payload)

    def log_request(self, code="-", size="-"):
        if str(code) != "200":
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    """A thread per connection; a burst of new ones is queued, not refused."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A client that hangs up is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], (BrokenPipeError, ConnectionResetError)):
            super().handle_error(request, client_address)


def serve(handler, host, port):
    """Serves until SIGTERM or Ctrl-C, then exits 0."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Server((host, port), handler) as server:
            print("listening on http://%s:%d" % server.server_address[:2], flush=True)
            server.serve_forever()
    except KeyboardInterrupt:
        pass
