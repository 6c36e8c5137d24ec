"""Headers of tables as registries give them."""

from __future__ import annotations

import pytest

from hipt.tasks.labels.headers import below_comments, id_columns

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
    assert id_columns(header, [[UUID, "TCGA-A7-A0CJ"]]) == {"case_id": "case_submitter_id"}
    assert id_columns(header, [["c1", "TCGA-A7-A0CJ"]]) == {"case_id": "case_id"}


def test_comments_above_the_header():
    text = "#Patient Identifier\tMonths\n#STRING\tNUMBER\nPATIENT_ID\tOS_MONTHS\nx\t1\n"
    assert below_comments(text) == (2, "PATIENT_ID\tOS_MONTHS\nx\t1\n")
    assert below_comments("slide_id,x\n#1,2\n") == (0, "slide_id,x\n#1,2\n")


def test_a_header_that_is_a_comment():
    assert below_comments("# made by R\n#slide_id,grade\na,1\n") == (1, "slide_id,grade\na,1\n")
    assert below_comments("# nothing else") == (1, "")
