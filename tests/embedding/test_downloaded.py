"""What a download leaves in place of weights is said in one sentence, before torch is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.downloaded import refuse_no_weights
from hipt.embedding.weights_files import read_weights
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import HiptError

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:6960\nsize 704238867\n"
GATED = (
    "Access to model MahmoodLab/UNI2-h is restricted. You must have access to it and be "
    "authenticated to access it. Please log in."
)
PAGE = "<!DOCTYPE html>\n<html lang='de'><title>Zugriff für Mitglieder</title></html>"
DENIED = (
    ": the download was not allowed; accept the licence on the model's page, then fetch the file "
    "logged in"
)
UNUSABLE = {
    "gone.pth": (None, "no such weights file"),
    ".": (None, "is a folder; name the weights file in it"),
    "empty.pth": ("", "is empty; fetch the weights again"),
    "lfs.pth": (
        LFS,
        "is a git-lfs pointer, not the weights; run `git lfs pull` where it came from",
    ),
    "page.safetensors": (PAGE, f"is a web page, not the weights ('<!DOCTYPE html>'){DENIED}"),
    "gated.bin": (
        GATED,
        f"is text, not the weights ('{GATED[:60]}...'){DENIED}",
    ),
    "password.bin": (
        "Invalid username or password.",
        f"is text, not the weights ('Invalid username or password.'){DENIED}",
    ),
    "error.safetensors": (
        '{"error": "Unauthorized"}',
        f'is text, not the weights (\'{{"error": "Unauthorized"}}\'){DENIED}',
    ),
    "other.safetensors": (
        "Entry not found",
        "is text, not the weights ('Entry not found'); name the weights file itself",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_weights_file_says_so(tmp_path: Path, name: str):
    content, sentence = UNUSABLE[name]
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")
    for read in (refuse_no_weights, read_weights):
        with pytest.raises(HiptError) as error:
            read(path)
        assert str(error.value) == f"{path}: {sentence}"
    with pytest.raises(HiptError) as error:  # and so does a plan
        weights_identity("embed.patches", PatchEncoderConfig(weights=str(path)))
    assert str(error.value) == f"embed.patches.weights: {path}: {sentence}"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_half_a_download_is_cut_off(tmp_path: Path, name: str, share: float):
    state = {f"blocks.{i}.weight": torch.rand(64, 64) for i in range(4)}
    (save_file if name == "w.safetensors" else torch.save)(state, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    refuse_no_weights(tmp_path / name)
    part = tmp_path / f"half-{name}"
    part.write_bytes(whole[: int(share * len(whole))])
    missing = (
        rf"{int(share * len(whole)):,} of [\d,]+ bytes"
        if name == "w.safetensors"
        else "the list at the end of its archive is missing"
    )
    with pytest.raises(HiptError, match=rf"is cut off \({missing}\); fetch the weights again"):
        refuse_no_weights(part)


def test_a_half_download_names_the_bytes_that_the_whole_has(tmp_path: Path):
    save_file({"a": torch.rand(1000)}, tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[:2000])
    with pytest.raises(HiptError, match=rf"2,000 of {len(whole):,} bytes"):
        refuse_no_weights(tmp_path / "half.safetensors")


def test_a_damaged_header_is_left_to_the_reader(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    path.write_bytes((20).to_bytes(8, "little") + b"{" * 20)
    refuse_no_weights(path)
    with pytest.raises(HiptError, match="is damaged or no weights file"):
        read_weights(path)


def test_a_pickle_with_objects_is_refused_in_one_sentence(tmp_path: Path):
    """As `pytorch_model.bin` of programs that save a module whole."""
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(HiptError, match="is not read, since such a file can run code; where it"):
        read_weights(tmp_path / "pytorch_model.bin")


def test_needs_no_torch():
    code = "import sys, hipt.embedding.downloaded, hipt.embedding.timm_revision\n"
    code += "print({'torch', 'timm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
