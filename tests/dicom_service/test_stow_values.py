"""What a store remarks about values under v2."""

import pytest
from pydicom.valuerep import PersonName

from tests.dicom_service.conftest import Service, dataset, part10, reasons, warnings


@pytest.mark.parametrize(
    ("keyword", "value", "cause"),
    [
        ("Modality", "ct", "value contains invalid character"),
        ("Modality", "X\0X", "value contains invalid character"),
        ("Laterality", "L" * 17, "value exceeds maximum length of 16 characters"),
        ("PatientAge", "52Y", "value does not have pattern 000[DWMY]"),
        ("SeriesDescription", "a\tb", "value contains invalid character"),
        ("PatientWeight", "01.5", "value is no decimal string"),
        ("SeriesTime", "2561", "hour component exceeds 23"),
        ("SeriesDate", "20201301", "month component exceeds the value 12"),
        ("FrameOfReferenceUID", "1.02.3", "components must not have leading zeros"),
        ("OperatorsName", "a^b^c^d^e^f", "value contains too many components"),
        ("StudyDescription", "a\\b", "Number of items 2 does not match ValueMultiplicity 1"),
        ("PixelSpacing", "1", "Number of items 1 does not match ValueMultiplicity 2"),
    ],
)
def test_v2_warns_about_each_kind_of_bad_value(
    service: Service, keyword: str, value: str, cause: str
) -> None:
    """STOW-092, STOW-099, STOW-105, STOW-107, STOW-138."""
    made = dataset()
    setattr(made, keyword, "")
    if made[keyword].VR == "PN":
        made[keyword]._value = PersonName(value)
    else:
        made[keyword]._value = value.split("\\") if "\\" in value else value

    answer = service.store(part10(made))

    assert (answer.status, warnings(answer)) == (202, [1])
    assert len(reasons(answer)) == 1
    assert cause in reasons(answer)[0]


def test_values_at_the_edge_of_the_rules_pass_v2(service: Service) -> None:
    """STOW-098, STOW-104, STOW-108: the twin of the warnings."""
    made = dataset(Laterality="", SeriesDate="", PatientWeight="0.5", SeriesTime="235960", PatientAge="052Y")
    made["StudyDate"]._value = "20230231"
    made["SeriesDescription"] = made["StudyDescription"].__class__(0x0008103E, "LO", "x" * 64)

    answer = service.store(part10(made))

    assert (answer.status, reasons(answer)) == (200, [])


def test_nested_violation_names_the_nested_tag(service: Service) -> None:
    """STOW-095."""
    item = dataset(PixelData=None)
    item["StudyDate"]._value = "bad"
    made = dataset(RequestAttributesSequence=[item], StudyDate="20200102")

    assert reasons(service.store(part10(made))) == [
        (
            'DICOM100: (0008,0020) - Content "bad" does not validate VR DA: '
            "one of the date values does not match the pattern YYYYMMDD"
        )
    ]
