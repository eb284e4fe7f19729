"""Who may do what: keys, scopes, tokens, the Unix socket, strange hosts and origins, limits, broken clients."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import jwt
import pytest

from server.conftest import Served, Start
from termrag.config import Config
from termrag.errors import ConfigError, LibraryBusy
from termrag.rag import Rag
from termrag.server.running import serve

DOCUMENTS = "/api/v1/documents"
OPEN = ["/health", "/health/live", "/openapi.json", "/docs", "/assets/docs.js", "/assets/docs.css"]


async def test_without_a_key_only_the_server_itself_is_told_of(served: Served) -> None:
    async with served.client("none") as client:
        for path in OPEN:
            async with client.get(path) as response:
                assert response.status == 200, path
        for path in ("/api/v1/documents", "/metrics", "/health/ready", "/api/v1/sessions"):
            async with client.get(path) as response:
                assert response.status == 401, path
                assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "text", ["", "Bearer", "Bearer termrag_", "Bearer termrag_00000000_x", "Basic dGVzdDp0ZXN0", "Bearer a.b.c"]
)
async def test_what_is_no_key_lets_nobody_in(served: Served, text: str) -> None:
    async with served.client("none") as client, client.get(DOCUMENTS, headers={"Authorization": text}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"read"}),
        ("ask", {"read", "ask"}),
        ("write", {"read", "write"}),
        ("admin", {"read", "ask", "write", "admin"}),
    ],
)
async def test_a_scope_allows_what_it_names_and_no_more(served: Served, scope: str, allowed: set[str]) -> None:
    probes = {
        "read": ("GET", "/api/v1/documents"),
        "ask": ("GET", "/api/v1/sessions"),
        "write": ("POST", "/api/v1/jobs/none/retry"),
        "admin": ("POST", "/api/v1/models/unload"),
    }
    async with served.client(scope) as client:
        for needed, (method, path) in probes.items():
            async with client.request(method, path) as response:
                assert (response.status != 403) == (needed in allowed), needed


async def test_a_revoked_or_expired_key_is_worthless_at_once(served: Served) -> None:
    key, text = served.keys.create("laptop", ("read",))
    _, old = served.keys.create("old", ("read",), expires_at=time.time() - 1)
    async with served.client("none") as client:
        async with client.get("/api/v1/documents", headers={"X-API-Key": text}) as response:
            assert response.status == 200
        served.keys.revoke("laptop")
        for each in (text, old):
            async with client.get("/api/v1/documents", headers={"X-API-Key": each}) as response:
                assert response.status == 401
    stored = (served.rag.paths.config / "keys.json").read_text()
    assert text.rpartition("_")[2] not in stored
    assert (served.rag.paths.config / "keys.json").stat().st_mode & 0o777 == 0o600
    assert key.id in stored


async def test_tokens_are_checked_by_issuer_audience_time_and_algorithm(start: Start, tmp_path: Path) -> None:
    secret = "s" * 40
    (tmp_path / "secret").write_text(secret)
    served = await start(jwt_algorithm="HS256", jwt_key_file=str(tmp_path / "secret"), jwt_issuer="us")
    good = {"iss": "us", "aud": "termrag", "sub": "ann", "exp": time.time() + 60, "scope": "read"}
    bad = [
        {**good, "iss": "them"},
        {**good, "aud": "other"},
        {**good, "exp": time.time() - 60},
        {name: value for name, value in good.items() if name != "exp"},
    ]
    async with served.client("none") as client:

        async def status(token: str, path: str = "/api/v1/documents") -> int:
            async with client.get(path, headers={"Authorization": f"Bearer {token}"}) as response:
                return response.status

        assert await status(jwt.encode(good, secret, "HS256")) == 200
        assert await status(jwt.encode(good, secret, "HS256"), "/api/v1/sessions") == 403
        assert {await status(jwt.encode(claims, secret, "HS256")) for claims in bad} == {401}
        assert await status(jwt.encode(good, "t" * 40, "HS256")) == 401
        assert await status(jwt.encode(good, None, "none")) == 401
        assert await status(jwt.encode(good, "s" * 70, "HS512")) == 401


async def test_the_unix_socket_needs_no_key_and_is_private(served: Served) -> None:
    assert served.socket.stat().st_mode & 0o777 == 0o600
    async with (
        aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(served.socket))) as client,
        client.get("/api/v1/documents") as response,
    ):
        assert response.status == 200
        assert (await response.json())["total"] == 1


async def test_a_second_server_is_refused(served: Served) -> None:
    async with Rag(Config().with_values({"server": {"port": 0}}, "test")) as rag:
        with pytest.raises(LibraryBusy, match="serves already"):
            await serve(rag, ready=lambda host, port: None)


async def test_a_taken_port_is_a_clear_error(served: Served, tmp_path: Path) -> None:
    port = int(served.url.rpartition(":")[2])
    async with Rag(Config().with_values({"server": {"port": port}}, "test")) as rag:
        object.__setattr__(rag.paths, "runtime", tmp_path / "r")
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            await serve(rag, ready=lambda host, port: None)


async def test_pages_elsewhere_cannot_call_the_server(start: Start) -> None:
    served = await start(origins=["https://notes.example"])
    async with served.client("read") as client:
        cases = [
            ({"Host": "evil.example"}, 403, "forbidden_host"),
            ({"Host": "127.0.0.1.evil.example:80"}, 403, "forbidden_host"),
            ({"Origin": "https://evil.example"}, 403, "forbidden_origin"),
            ({"Origin": "null"}, 403, "forbidden_origin"),
            ({"Origin": served.url}, 200, None),
            ({"Origin": "https://notes.example"}, 200, None),
        ]
        for headers, status, error in cases:
            async with client.get("/api/v1/documents", headers=headers) as response:
                assert response.status == status, headers
                if error:
                    assert (await response.json())["error"] == error
                allowed = response.headers.get("Access-Control-Allow-Origin")
                assert allowed == (headers.get("Origin") if "notes" in str(headers) else None)
        preflight = {"Access-Control-Request-Method": "GET"}
        for origin, status in (("https://notes.example", 204), ("https://evil.example", 403)):
            async with client.options("/api/v1/documents", headers={"Origin": origin, **preflight}) as response:
                assert response.status == status


async def test_every_error_has_the_one_shape_and_every_answer_its_headers(served: Served) -> None:
    async with served.client("admin") as client:
        wrong = [
            client.get("/nowhere"),
            client.put("/api/v1/generate"),
            client.get("/api/v1/documents/none"),
            client.get("/api/v1/documents?limit=0"),
            client.get("/api/v1/documents?colour=red"),
            client.post("/api/v1/generate", json={"question": ""}),
            client.post("/api/v1/generate", json={"question": "x", "colour": "red"}),
            client.post("/api/v1/generate", data=b"{", headers={"Content-Type": "application/json"}),
            client.post("/api/v1/generate", data=b"\xff\xfe", headers={"Content-Type": "application/json"}),
            client.post("/api/v1/generate", data="question=x"),
            client.post(
                "/api/v1/generate/upload",
                data=b"--x\r\nbroken",
                headers={"Content-Type": "multipart/form-data; boundary=x"},
            ),
            client.post("/api/v1/generate/upload", json={}),
            client.post("/api/v1/watch/folders", json={"path": "/nowhere"}),
        ]
        for request in wrong:
            async with request as response:
                text = await response.text()
                assert 400 <= response.status < 500, text
                assert set(json.loads(text)) == {"error", "message", "hint", "request_id"}
                assert json.loads(text)["request_id"] == response.headers["X-Request-ID"]
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_what_is_too_large_or_too_often_is_refused(start: Start) -> None:
    served = await start(body_mb=0.01, upload_mb=0.1, upload_files=2, requests_per_minute=20)
    async with served.client("ask") as client:
        async with client.post("/api/v1/generate", json={"question": "x", "text": "y" * 20_000}) as response:
            assert response.status == 413
        for files in ([b"z" * 200_000], [b"z", b"z", b"z"]):
            form = aiohttp.FormData()
            form.add_field("question", "x")
            for each in files:
                form.add_field("file", each, filename="a.txt")
            async with client.post("/api/v1/generate/upload", data=form) as response:
                assert response.status == 413
        statuses = []
        for _ in range(12):
            async with client.get("/api/v1/documents") as response:
                statuses.append(response.status)
                if response.status == 429:
                    assert int(response.headers["Retry-After"]) >= 1
        assert 429 in statuses


async def talk(served: Served, data: bytes, *, seconds: float = 5.0) -> bytes:
    """Send raw bytes and read until the server closes or the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(data)
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(4096):
                received += part
    except (TimeoutError, ConnectionResetError):
        pass
    writer.close()
    return received


async def test_clients_that_say_nothing_or_nonsense_do_no_harm(start: Start) -> None:
    served = await start(header_timeout_s=0.4, body_timeout_s=0.4, connections=50)
    begun = time.monotonic()
    silent = await asyncio.gather(*(talk(served, b"GET / HTTP/1.1\r\nHost: local", seconds=20) for _ in range(20)))
    assert silent == [b""] * 20
    assert time.monotonic() - begun < 15
    huge = await talk(served, b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
    assert b" 400 " in huge.split(b"\r\n")[0]
    assert b" 400 " in (await talk(served, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")).split(b"\r\n")[0]
    key = served.key("ask")["Authorization"]
    head = f"POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n"
    started = head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    assert b" 408 " in (await talk(served, started.encode())).split(b"\r\n")[0]
    async with served.client("read") as client, client.get("/api/v1/documents") as response:
        assert response.status == 200


async def test_more_connections_than_allowed_are_closed_and_others_served(start: Start) -> None:
    served = await start(connections=20, header_timeout_s=0.5)
    port = int(served.url.rpartition(":")[2])
    crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
    for _ in range(100):
        try:
            async with served.client("read") as client, client.get("/health") as response:
                assert response.status == 200
                break
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)
    else:
        raise AssertionError("nobody is served any more")
    for _, writer in crowd:
        writer.close()


async def test_the_audit_log_tells_who_wrote_and_no_log_tells_what(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    from termrag.server.log import open_logs

    audit = served.rag.paths.state / "audit.log"
    open_logs("json", audit)
    async with served.client("admin") as client:
        async with client.post(
            "/api/v1/vectors", json={"name": "secret.md", "text": "The password is cormorant."}
        ) as done:
            assert done.status == 200
        async with client.post("/api/v1/generate", json={"question": "Is cormorant a password?"}) as done:
            assert done.status == 200
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["event"], line["status"]) for line in lines] == [("upsert", 200)]
    assert lines[0]["caller"].startswith("key ")
    said = (
        capsys.readouterr().err + audit.read_text() + served.rag.paths.log_file.read_text()
        if served.rag.paths.log_file.exists()
        else ""
    )
    assert "cormorant" not in said
