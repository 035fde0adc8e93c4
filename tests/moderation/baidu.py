"""A server that speaks Baidu's content censoring, as its documentation has it; it judges by what is in the content."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

KEY, SECRET = "key-of-the-stand-in", "secret-of-the-stand-in"

COMPLIES = {"conclusion": "合规", "conclusionType": 1}


def verdict(kind: int, **entry: Any) -> dict[str, Any]:
    """An answer with one entry that has this `conclusionType`."""
    name = {2: "不合规", 3: "疑似"}[kind]
    about = {"conclusion": name, "conclusionType": kind, "msg": f"存在{name}内容", **entry}
    return {"conclusion": name, "conclusionType": kind, "data": [about]}


@dataclass
class Baidu:
    """The server. `texts` and `pictures` are what it was asked about; `script` answers come first, whatever is asked.

    An answer in the script is a JSON object, bytes (sent as they are), or an HTTP status. `delay` holds each back.
    """

    port: int = 0
    tokens: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pictures: list[tuple[int, int]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    script: list[dict[str, Any] | bytes | int] = field(default_factory=list)
    delay: float = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead here."""
        return {
            "MODERATION_PROVIDER": "baidu",
            "BAIDU_URL": f"http://127.0.0.1:{self.port}",
            "BAIDU_API_KEY": KEY,
            "BAIDU_SECRET_KEY": SECRET,
            "MODERATION_PROVIDER_RATE": "1000",
        }

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> dict[str, Any] | bytes | int:
        """What is answered to a POST."""
        self.paths.append(path)
        if path == "/oauth/2.0/token":
            if (form.get("client_id"), form.get("client_secret")) != (KEY, SECRET):
                return {"error": "invalid_client", "error_description": "unknown client id"}
            self.tokens.append(f"24.token-{len(self.tokens)}")
            return {"access_token": self.tokens[-1], "expires_in": 2_592_000}
        if query.get("access_token") != (self.tokens or [""])[-1]:
            return {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}
        if self.script:
            return self.script.pop(0)
        if path == "/rest/2.0/solution/v1/text_censor/v2/user_defined":
            self.texts.append(form["text"])
            return self._about_text(form["text"])
        if path == "/rest/2.0/solution/v1/img_censor/v2/user_defined":
            with Image.open(io.BytesIO(base64.b64decode(form["image"], validate=True))) as image:
                self.pictures.append(image.size)
                red, green, blue = image.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc] # of RGB
            bad = red > 200 and green < 60 and blue < 60
            return verdict(3, type=1, subType=0, probability=0.83) if bad else COMPLIES
        return 404

    @staticmethod
    def _about_text(text: str) -> dict[str, Any]:
        if len(text.encode()) > 20_000:
            return {"error_code": 282004, "error_msg": "invalid parameter(s)"}
        if "骂" in text:
            return verdict(2, type=12, subType=5, probability=0.97, hits=[{"words": ["骂"], "datasetName": "默认"}])
        return COMPLIES


@contextmanager
def baidu() -> Iterator[Baidu]:
    """The server, on a free port until the block is left."""
    state = Baidu()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            answer = state.answer(parts.path, query, {name: values[0] for name, values in parse_qs(form).items()})
            if state.delay:
                state.released.wait(state.delay)
            status = answer if isinstance(answer, int) else 200
            body = (
                answer if isinstance(answer, bytes) else json.dumps(answer if isinstance(answer, dict) else {}).encode()
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asked has not waited
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
