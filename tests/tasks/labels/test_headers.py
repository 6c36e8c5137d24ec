"""Headers of tables as registries give them."""

from __future__ import annotations

import pytest

from hipt.tasks.labels.headers import id_columns, names_an_id

UUID = "6d10d4ee-6331-4bba-93bc-a7b64cc0b22a"


@pytest.mark.parametrize(
    "name",
    [
        *("PATIENT_ID", "Patient ID", "bcr_patient_barcode", "case_submitter_id", "_PATIENT"),
        *("cases.submitter_id", "Case_ID", "submitter_id"),
    ],
)
def test_names_of_registries(name: str):
    assert id_columns(["Study ID", name, "OS_MONTHS"]) == {"case_id": name}


def test_own_names_come_first():
    assert id_columns(["case_id", "PATIENT_ID", "slide_id"]) == {
        "slide_id": "slide_id",
        "case_id": "case_id",
    }
    assert id_columns(["slide", "sample", "OS"]) == {}


def test_uuids_of_gdc_give_way_to_what_people_call_the_case():
    header = ["case_id", "case_submitter_id"]
    for case, column in {UUID: "case_submitter_id", "c1": "case_id"}.items():
        row = dict(zip(header, (case, "TCGA-A7-A0CJ"), strict=True))
        assert id_columns(header, [row]) == {"case_id": column}


def test_a_comment_is_no_header():
    assert names_an_id(["Patient ID", "OS_MONTHS"])
    assert not names_an_id(["#Patient ID", "OS_MONTHS"])
    assert not names_an_id([""])
