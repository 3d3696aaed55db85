import json

from fixtures.clients.answers import Response
from fixtures.clients.store_response import parse_store_response

JSON = (("Content-Type", "application/dicom+json"),)


def response(document: object, status: int = 202) -> Response:
    return Response(status, JSON, json.dumps(document).encode())


def sequence(*items: dict[str, object]) -> dict[str, object]:
    return {"vr": "SQ", "Value": list(items)}


def uid(value: str) -> dict[str, object]:
    return {"00081155": {"vr": "UI", "Value": [value]}}


def reason(tag: str, code: int) -> dict[str, object]:
    return {tag: {"vr": "US", "Value": [code]}}


def test_every_part_is_accounted_for_with_its_reason() -> None:
    parsed = parse_store_response(
        response(
            {
                "00081199": sequence(
                    {**uid("1.1"), "00081190": {"vr": "UR", "Value": ["https://x/1.1"]}},
                    {**uid("1.2"), **reason("00081196", 0xB000)},
                ),
                "00081198": sequence({**uid("1.3"), **reason("00081197", 45070)}, uid("1.4")),
                "0008119A": sequence(reason("00081197", 272)),
            }
        )
    )

    assert parsed.status == 202
    assert parsed.stored == ("1.1", "1.2")
    assert parsed.failed == {"1.3": 45070, "1.4": None}
    assert parsed.warnings == {"1.2": 0xB000}
    assert parsed.other_failures == (272,)
    assert parsed.retrieve_urls == {"1.1": "https://x/1.1"}
    assert parsed.accounted == 5
    assert parsed.problems == ()
    assert "B00E" in parsed.describe()


def test_an_empty_body_says_nothing_and_is_no_problem() -> None:
    parsed = parse_store_response(Response(204, (), b""))

    assert (parsed.status, parsed.accounted, parsed.problems) == (204, 0, ())


def test_what_departs_from_the_module_is_a_problem() -> None:
    html = parse_store_response(Response(200, (("Content-Type", "text/html"),), b"<p>ok</p>"))
    broken = parse_store_response(Response(200, JSON, b"{"))
    nameless = parse_store_response(response({"00081199": sequence({})}))
    no_sequence = parse_store_response(response({"00081198": {"vr": "SQ", "Value": "x"}}))

    assert "text/html" in html.problems[0]
    assert "no JSON" in broken.problems[0]
    assert "no Referenced SOP Instance UID" in nameless.problems[0]
    assert "no sequence" in no_sequence.problems[0]
    assert [html.stored, broken.stored, nameless.stored, no_sequence.stored] == [(), (), (), ()]
    assert no_sequence.failed == {}
