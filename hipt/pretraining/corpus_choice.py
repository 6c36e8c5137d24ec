"""Which slides a `corpus` setting means: all, those of a label, or a file's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError, some_of


def chosen(rows: Sequence[SlideRow], corpus: str) -> list[SlideRow]:
    """The sheet's rows that a `corpus` setting means.

    Raises:
        HiptError: if it means none, or slides or a column that the sheet lacks.
    """
    if corpus == "all":
        return list(rows)
    name, equals, value = (text.strip() for text in corpus.partition("="))
    if equals and not Path(corpus).is_file():
        return _labelled(rows, name, value)
    wanted = _listed(Path(corpus))
    known = {row.slide_id for row in rows}
    for slide_id, number in wanted.items():
        if slide_id not in known:
            problem = f"{slide_id!r} is not in the sheet; take it out, or add the slide"
            raise HiptError.at(corpus, problem, row=number)
    return [row for row in rows if row.slide_id in wanted]


def _labelled(rows: Sequence[SlideRow], name: str, value: str) -> list[SlideRow]:
    """The rows with a value in a column: a label, `site` or `case_id`."""
    cells = [{"site": row.site, "case_id": row.case_id, **row.labels} for row in rows]
    known = sorted({column for row in cells for column in row})
    where = f"pretrain corpus '{name}={value}'"
    if name not in known:
        raise HiptError(f"{where}: the sheet has no column '{name}' (found: {', '.join(known)})")
    matching = [row for row, cell in zip(rows, cells, strict=True) if cell.get(name) == value]
    if not matching:
        values = sorted({cell.get(name, "") for cell in cells} - {""})
        some = some_of(values, 10)
        raise HiptError(f"{where}: no slide has this value (found: {some})")
    return matching


def _listed(path: Path) -> dict[str, int]:
    """The ids in a file, each with its line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise HiptError(f"{path}: is not UTF-8 text; write one slide_id per line") from None
    except OSError as error:
        raise HiptError(
            f"pretrain corpus '{path}': no such file ({error.strerror}); write 'all', "
            "'column=value', or the path of a file with one slide_id per line"
        ) from None
    ids = {line.strip(): number for number, line in enumerate(lines, 1) if line.strip()}
    if not ids:
        raise HiptError(f"{path}: holds no slide_id; write one per line")
    return ids
