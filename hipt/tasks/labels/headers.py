"""Headers of tables as registries give them, with other names for the ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

IDS = ("slide_id", "case_id")
"""What a row may stand for; a table with both is one of slides."""

_CASE = (
    *("caseid", "patientid", "casesubmitterid", "casessubmitterid", "submitterid"),
    *("bcrpatientbarcode", "patientbarcode", "patient"),
)
_ALIASES = {"slide_id": ("slideid",), "case_id": _CASE}
"""Names in small letters, without anything else: cBioPortal's `PATIENT_ID` and `Patient ID`, TCGA's
`bcr_patient_barcode`, GDC's `case_submitter_id` and `cases.submitter_id`, Xena's `_PATIENT`."""

_SUBMITTERS = ("casesubmitterid", "casessubmitterid", "submitterid")

_SAMPLE = ("sampleid", "sample", "xenasample", "samplebarcode", "bcrsamplebarcode")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def id_columns(header: Sequence[str], rows: Sequence[Mapping[str, str]] = ()) -> dict[str, str]:
    """The columns of slide_id and case_id, as far as there are such, slide_id first.

    Args:
        header: the table's columns.
        rows: its cells: where case_id holds GDC's UUIDs alone, the submitter's id beside it is the
            case.
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.casefold()): name for name in reversed(header)}
    column_of = {}
    for name in IDS:
        column = name if name in header else _first(plain, _ALIASES[name])
        if column is not None:
            column_of[name] = column
    submitter = _first(plain, _SUBMITTERS)
    case = column_of.get("case_id")
    if submitter and case and rows and all(_UUID.fullmatch(row[case]) for row in rows):
        column_of["case_id"] = submitter
    return column_of


def names_an_id(header: Sequence[str]) -> bool:
    """Whether names of columns are those of a table of slides or cases, and no comment."""
    return not header[0].startswith("#") and bool(id_columns(header))


def id_remedy(header: Sequence[str]) -> str:
    """What to do about a table without an id that is known."""
    plain = {re.sub(r"[^a-z0-9]", "", name.casefold()): name for name in reversed(header)}
    sample = _first(plain, _SAMPLE)
    if sample is None:
        return "add it"
    return f"'{sample}' names samples; add the patient of each as case_id, or its slide as slide_id"


def _first(plain: dict[str, str], names: Sequence[str]) -> str | None:
    """The first of some names that a header has."""
    return next((plain[name] for name in names if name in plain), None)
