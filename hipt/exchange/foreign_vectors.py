"""The vectors that another tool has made, as float16; apart, since slide2vec's need torch."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import read_header
from hipt.exchange.foreign_values import absent, checked_width, refuse_packed, unusable
from hipt.exchange.hdf5_features import hdf5_vectors
from hipt.exchange.slide2vec_features import npz_array, vectors_file
from hipt.store.finite import MOST_FLOAT16, Broken


def read_features(files: FeatureFiles, slide_id: str) -> npt.NDArray[np.float16]:
    """A slide's (N, D) vectors, in the order of its coordinates.

    Raises:
        SlideError: `missing` or `unreadable`, naming the file and what is wrong with it.
    """
    count = read_header(files, slide_id).patches
    if not files.by_slide2vec:
        path, features = files.features(slide_id), hdf5_vectors(files, slide_id)
    else:
        path = vectors_file(files, slide_id)
        features = _tensor(path) if path.suffix == ".pt" else npz_array(path, "features")
    checked_width(path, features.shape, count)
    with np.errstate(over="ignore"):
        vectors = features.astype(np.float16)
    broken = Broken()
    broken.add(vectors, 0)
    if broken.first is not None:
        counts = broken.counted(f"{MOST_FLOAT16} (float16)")
        raise unusable(path, f"{counts}; the first is row {broken.first[1] + 1} of features")
    return vectors


def _tensor(path: Path) -> npt.NDArray[Any]:
    """The numbers of a bare tensor that torch.save wrote; nothing else of such a file is read."""
    if not path.exists():
        raise absent(path)
    try:
        with zipfile.ZipFile(path) as archive:
            stored = sum(entry.file_size for entry in archive.infolist())
        refuse_packed(path, "its tensor", stored, path.stat().st_size)
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about a file is said below
            tensor = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise unusable(path, "holds more than a tensor, and is not read") from None
    except zipfile.BadZipFile:
        raise unusable(path, "is no file that torch.save writes") from None
    except (OSError, LookupError, RuntimeError, TypeError, ValueError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise unusable(path, f"is damaged ({reason})") from None
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
        raise unusable(path, f"holds a {type(tensor).__name__}, not a bare tensor of numbers")
    if tensor.is_meta or tensor.is_complex() or tensor.is_quantized or tensor.dtype == torch.bool:
        raise unusable(path, f"holds a tensor of type {tensor.dtype}, wanted are numbers")
    nbytes = tensor.numel() * tensor.element_size()
    refuse_packed(path, f"a tensor of shape {tuple(tensor.shape)}", nbytes, path.stat().st_size)
    return tensor.detach().float().numpy()
