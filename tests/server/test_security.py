"""What a hostile client tries: tokens of a wrong kind, uploads that escape or explode, bodies that unpack, secrets in
places that are logged, and pages elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from server.conftest import Served, Start
from termrag.server.limits import neighbourhood
from termrag.server.log import mask_secrets
from termrag.server.routes import OPERATIONS


def rsa_pair() -> tuple[str, str]:
    """A private and a public key, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


async def test_tokens_of_a_key_pair_are_checked_and_not_taken_for_secrets(start: Start, tmp_path: Path) -> None:
    private, public = rsa_pair()
    stranger, _ = rsa_pair()
    (tmp_path / "public.pem").write_text(public)
    served = await start(jwt_algorithm="RS256", jwt_key_file=str(tmp_path / "public.pem"), jwt_issuer="us")
    good = {"iss": "us", "aud": "termrag", "sub": "ann", "exp": time.time() + 60, "scope": "read"}

    def forged() -> str:
        """Signed with the public key as if it were a secret: the classic confusion of algorithms."""
        import base64
        import hashlib
        import hmac

        def part(data: bytes) -> str:
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        head = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps(good).encode())
        return head + "." + part(hmac.new(public.encode(), head.encode(), hashlib.sha256).digest())

    async with served.client("none") as client:

        async def status(token: str) -> int:
            async with client.get("/api/v1/documents", headers={"Authorization": f"Bearer {token}"}) as response:
                return response.status

        assert await status(jwt.encode(good, private, "RS256")) == 200
        assert await status(jwt.encode({**good, "scope": ""}, private, "RS256")) == 403
        assert await status(jwt.encode({**good, "scope": ["admin"]}, private, "RS256")) == 403
        assert await status(jwt.encode(good, stranger, "RS256")) == 401
        assert await status(jwt.encode({**good, "aud": "other"}, private, "RS256")) == 401
        assert await status(jwt.encode({**good, "iss": "them"}, private, "RS256")) == 401
        assert await status(forged()) == 401


def test_every_operation_that_changes_something_needs_more_than_reading() -> None:
    # A search and a protocol that checks each tool's scope itself are sent with POST and change nothing.
    reads = {"/api/v1/search", "/api/v1/vectors/search", "/mcp"}
    asks = {"/api/v1/generate", "/api/v1/generate/upload", "/api/v1/generate/{run}", "/v1/chat/completions"}
    for operation in OPERATIONS:
        if operation.method != "GET" and operation.path not in reads:
            least = ("ask",) if operation.path in {*asks, "/v1/embeddings"} else ("write", "admin")
            assert operation.scope in least, operation.path


async def test_keeping_an_upload_needs_the_right_to_write(served: Served) -> None:
    form = aiohttp.FormData()
    form.add_field("question", "What is in it?")
    form.add_field("keep", "true")
    form.add_field("file", b"# Boats\n\nThe Petrel carries 36 people.", filename="boats.md")
    async with served.client("ask") as client, client.post("/api/v1/generate/upload", data=form) as response:
        assert response.status == 403
    assert len(await served.rag.documents()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "../../../escape.md",
        "/etc/escape.md",
        "..\\..\\escape.md",
        "C:\\escape.md",
        ".escape.md",
        "a\u202eb\u2028escape.md",
        "e" * 400 + ".md",
    ],
)
async def test_an_upload_never_chooses_where_it_goes(served: Served, name: str) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", b"# Escape\n\nThe prisoner is out.", filename=name)
    async with served.client("admin") as client:
        async with client.post("/api/v1/documents", data=form) as response:
            assert response.status in (202, 422), await response.text()
            if response.status == 422:
                return  # a name that no header can hold
            job = await response.json()
        async with client.get(f"/api/v1/jobs/{job['id']}/events") as response:
            assert "done" in await response.text()
    uploads = served.rag.paths.data / "uploads"
    (kept,) = [file for file in uploads.rglob("*") if file.is_file()]
    assert kept.parent.parent == uploads
    assert not kept.name.startswith(".")
    assert kept.name.isprintable()
    assert len(kept.name.encode()) <= 255
    assert kept.stat().st_mode & 0o777 == 0o600


def zip_of(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tar_with_link() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("passwd.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        note = tarfile.TarInfo("../../../tmp/escape-by-tar.md")
        note.size = len(text := b"The prisoner is out.")
        archive.addfile(note, io.BytesIO(text))
    return packed.getvalue()


async def test_archives_neither_escape_nor_explode(served: Served, tmp_path: Path) -> None:
    bomb = zip_of(**{"zeros.txt": b"0" * 80_000_000})
    nested = zip_of(**{f"{number}.zip": bomb for number in range(20)})
    escaping = zip_of(**{"../../../tmp/escape-by-zip.md": b"The prisoner is out."})
    assert len(bomb) < 200_000
    begun = time.monotonic()
    async with served.client("ask") as client:
        for name, content in (
            ("bomb.zip", bomb),
            ("nested.zip", nested),
            ("a.zip", escaping),
            ("b.tgz", tar_with_link()),
        ):
            form = aiohttp.FormData()
            form.add_field("question", "Who is out?")
            form.add_field("file", content, filename=name)
            async with client.post("/api/v1/generate/upload", data=form) as response:
                told = await response.text()
                assert response.status in (200, 422), told
                assert "root:" not in told
                assert "000000000000" not in told
    assert time.monotonic() - begun < 60
    assert not Path("/tmp/escape-by-zip.md").exists()
    assert not Path("/tmp/escape-by-tar.md").exists()
    assert list((served.rag.paths.state / "uploads").iterdir()) == []


async def test_a_body_that_unpacks_to_too_much_is_refused(start: Start) -> None:
    served = await start(body_mb=0.5, upload_mb=0.5)
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    small = gzip.compress(json.dumps({"question": "How much oil?"}).encode())
    large = gzip.compress(b'{"question": "' + b"x" * 20_000_000 + b'"}')
    async with served.client("ask") as client:
        async with client.post("/api/v1/generate", data=small, headers=packed) as response:
            assert response.status == 200
        async with client.post("/api/v1/generate", data=large, headers=packed) as response:
            assert response.status == 413
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        form = gzip.compress(head + b"x" * 20_000_000 + b"\r\n--b--\r\n")
        packed["Content-Type"] = "multipart/form-data; boundary=b"
        async with client.post("/api/v1/generate/upload", data=form, headers=packed) as response:
            assert response.status == 413


async def test_a_form_with_very_many_fields_is_refused(served: Served) -> None:
    form = aiohttp.FormData()
    form.add_field("question", "x")
    form.add_field("file", b"x", filename="a.txt")
    for number in range(100):
        form.add_field(f"field{number}", "x" * 1000)
    async with served.client("ask") as client, client.post("/api/v1/generate/upload", data=form) as response:
        assert response.status == 413


async def test_a_form_that_comes_drop_by_drop_ends(start: Start) -> None:
    served = await start(upload_timeout_s=0.5)

    async def drops():  # type: ignore[no-untyped-def]
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        while True:
            await asyncio.sleep(0.05)
            yield b"x"

    begun = time.monotonic()
    async with served.client("ask") as client:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        try:
            async with client.post("/api/v1/generate/upload", data=drops(), headers=headers) as response:
                assert response.status == 408
        except aiohttp.ClientConnectionError:
            pass  # closed while the client was still sending
    assert time.monotonic() - begun < 10
    assert list((served.rag.paths.state / "uploads").iterdir()) == []


async def test_what_a_killed_server_left_of_uploads_is_removed(start: Start) -> None:
    first = await start()
    folder = first.rag.paths.state / "uploads"
    await first.stop()
    (folder / "left").mkdir(parents=True)
    (folder / "left" / "secret.txt").write_text("private")
    await start()
    assert not (folder / "left").exists()


async def test_strangers_are_limited_by_address_and_keys_by_key(start: Start) -> None:
    served = await start(requests_per_minute=10)

    async def statuses(client: aiohttp.ClientSession, path: str, count: int) -> list[int]:
        found = []
        for _ in range(count):
            async with client.get(path) as response:
                found.append(response.status)
                assert response.status != 429 or int(response.headers["Retry-After"]) >= 1
        return found

    async with served.client("none") as stranger:
        assert set(await statuses(stranger, "/api/v1/documents", 8)) == {401, 429}
        assert set(await statuses(stranger, "/health", 8)) == {200, 429}
    async with served.client("read") as one:
        assert (await statuses(one, "/api/v1/documents", 8)).count(200) == 5
    async with served.client("read") as other:
        assert await statuses(other, "/api/v1/documents", 3) == [200] * 3


async def statuses_of(client: aiohttp.ClientSession, count: int) -> list[int]:
    found = []
    for _ in range(count):
        async with client.get("/api/v1/documents") as response:
            found.append(response.status)
            assert response.status != 429 or int(response.headers["Retry-After"]) >= 1
    return found


async def test_an_address_is_limited_whatever_keys_it_brings_and_the_unix_socket_is_not(start: Start) -> None:
    served = await start(requests_per_minute=1000, address_requests_per_minute=10)
    async with served.client("read") as one:
        assert await statuses_of(one, 3) == [200] * 3
    async with served.client("admin") as other:
        assert await statuses_of(other, 4) == [200, 200, 429, 429]
    async with served.client("none") as stranger:
        assert await statuses_of(stranger, 1) == [429]
    async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(served.socket))) as local:
        assert await statuses_of(local, 20) == [200] * 20


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the loopback has one address")
async def test_another_address_has_a_limit_of_its_own(start: Start) -> None:
    served = await start(address_requests_per_minute=10)
    async with served.client("read") as near:
        assert 429 in await statuses_of(near, 7)
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with served.client("read", connector=elsewhere) as far:
        assert await statuses_of(far, 5) == [200] * 5


async def test_messages_of_an_open_socket_count_for_its_address(start: Start) -> None:
    served = await start(address_requests_per_minute=10)
    async with served.client("ask") as client, client.ws_connect("/api/v1/ws") as socket:
        for _ in range(4):
            await socket.send_json({"type": "stop"})
        await socket.send_json({"type": "stop"})
        told = await socket.receive_json()
        assert (told["status"], told["error"]) == (429, "too_many_requests")


def test_addresses_of_one_network_count_as_one() -> None:
    assert neighbourhood("2001:db8:0:1::5") == neighbourhood("2001:db8:0:1:ffff::9") != neighbourhood("2001:db8:0:2::5")
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1") != neighbourhood("192.0.2.2")
    assert neighbourhood("fe80::1%eth0")
    assert neighbourhood("no address") == "no address"


async def test_a_key_that_is_revoked_is_worthless_on_an_open_socket_too(served: Served) -> None:
    key, text = served.keys.create("phone", ("ask",))
    headers = {"Authorization": f"Bearer {text}"}
    async with (
        aiohttp.ClientSession(served.url, headers=headers) as client,
        client.ws_connect("/api/v1/ws") as socket,
    ):
        await socket.send_json({"question": "How much oil?"})
        while (await socket.receive_json())["type"] != "answered":
            pass
        served.keys.revoke(key.id)
        await socket.send_json({"question": "How much oil?"})
        assert (await socket.receive_json())["status"] == 401


async def test_a_page_elsewhere_cannot_open_a_socket(served: Served) -> None:
    async with served.client("ask") as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/api/v1/ws", headers={"Origin": "https://evil.example"})
    assert refused.value.status == 403


async def test_cors_is_closed_and_every_page_carries_the_policy(served: Served) -> None:
    async with served.client("read") as client:
        for path in (
            "/health",
            "/docs",
            "/openapi.json",
            "/api/v1/documents",
            "/nowhere",
            "/v1/models",
            "/assets/docs.js",
        ):
            async with client.get(path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["X-Frame-Options"] == "DENY"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["Server"] == "termrag"
                assert not any(name.lower().startswith("access-control") for name in response.headers)
        async with client.get("/docs") as response:
            page = await response.text()
    assert "http://" not in page
    assert "https://" not in page


def test_secrets_are_masked_wherever_they_stand() -> None:
    key, token = "termrag_0123abcd_" + "x" * 43, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
    entry = {
        "event": f"got {key} and {token}",
        "Authorization": "Bearer x",
        "target": {"document": key, "password": "x", "list": [token, 3]},
    }
    masked = json.dumps(mask_secrets(None, "info", entry))
    for secret in (key, token, "Bearer x"):
        assert secret not in masked
    assert json.loads(masked)["target"] == {"document": "***", "password": "***", "list": ["***", 3]}
