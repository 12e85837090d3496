"""An OpenAI-compatible server of embeddings for tests: it answers as a script says and keeps what it was asked."""
import contextlib
import hashlib
import http.server
import json
import threading

from blackbox import WAIT_S


def vector_of(text, dimension):
    """A direction that depends on the text alone."""
    seed = hashlib.sha256(text.encode()).digest()
    return [seed[i % 32] - 127.5 for i in range(dimension)]


def good_reply(asked, dimension=8):
    data = [{"object": "embedding", "index": i, "embedding": vector_of(text, dimension)}
            for i, text in enumerate(asked["input"])]
    return 200, {}, {"object": "list", "data": data, "usage": {"prompt_tokens": 3 * len(data)}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fake = self.server.fake
        asked = json.loads(body)
        with fake.lock:
            fake.requests.append((self.path, dict(self.headers), asked))
            fake.connections.add(self.client_address)
            number = len(fake.requests)
        answer = fake.answer(number, asked)
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that leaves in the middle of a reply is what some tests are about."""


class Fake:
    """A server on a port of its own. answer(number, asked) gives (status, headers, body), or None to hang up."""

    def __init__(self, answer=lambda number, asked: good_reply(asked)):
        self.answer, self.requests, self.connections, self.lock = answer, [], set(), threading.Lock()
        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.http.fake = self
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.thread.join(WAIT_S)
        self.http.server_close()
