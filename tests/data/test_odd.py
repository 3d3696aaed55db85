import warnings
from io import BytesIO

from hypothesis import HealthCheck, given, settings
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fixtures.data import Run
from fixtures.data.odd import CHARACTER_SETS, odd_datasets
from fixtures.evidence.fingerprint import differences, fingerprint, same

RUN = Run("odd")
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(part10=odd_datasets(RUN, 3, transfer_syntaxes=NATIVE))
def test_odd_data_sets_lie_under_the_run_and_survive_a_library(part10: bytes) -> None:
    found = fingerprint(part10)
    assert found.sop_instance_uid.startswith(RUN.uid_root + ".3.")
    assert found.patient_id.startswith(RUN.patient_id_prefix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset, out = dcmread(BytesIO(part10)), BytesIO()
        assert dataset.pixel_array.size == 15 * found.frames
        dcmread(BytesIO(part10)).save_as(out)
    assert differences(part10, out.getvalue()) == []
    assert same(found, fingerprint(out.getvalue()))


@QUICK
@given(one=odd_datasets(RUN, 3), other=odd_datasets(RUN, 3))
def test_one_sop_instance_uid_is_one_content(one: bytes, other: bytes) -> None:
    same_uid = fingerprint(one).sop_instance_uid == fingerprint(other).sop_instance_uid
    assert same_uid == (one == other)


def test_names_can_be_read_in_their_character_sets() -> None:
    from pydicom.charset import convert_encodings, decode_bytes

    for charset, name in CHARACTER_SETS:
        text = decode_bytes(name, convert_encodings(charset.decode().split("\\")), set(b"^="))
        assert "�" not in text
        assert "\x1b" not in text
