from fixtures.load.corpus import pattern
from fixtures.load.drive import drive
from fixtures.load.naming import Stream
from fixtures.load.stow import Reader, StowSender, only_part, why_refused
from fixtures.load.wire import Answer, Endpoint
from tests.load.conftest import Sink


def _endpoint(sink: Sink) -> Endpoint:
    return Endpoint("127.0.0.1", sink.http, "/v2")


def test_every_instance_of_every_request_arrives_whole(sink: Sink) -> None:
    sender = StowSender(_endpoint(sink), [pattern("small")], Stream(1, 1), batch=3)

    sent = [sender.send() for _ in range(2)]
    sender.close()

    names = [one.instance.decode() for answer in sent for _, one in answer.acknowledged]
    assert list(sink.received.sides["web"]) == names
    assert len(set(names)) == 6


def test_bodies_larger_than_a_piece_arrive_whole(sink: Sink) -> None:
    sender = StowSender(_endpoint(sink), [pattern("small"), pattern("medium")], Stream(1, 2), batch=2)

    sent = sender.send()
    sender.close()

    assert not sent.refused
    assert len(sink.received.sides["web"]) == 2


def test_a_single_part_request_carries_the_file_alone(sink: Sink) -> None:
    sender = StowSender(_endpoint(sink), [pattern("small")], Stream(1, 3), form="single-part")

    assert len(sender.send().acknowledged) == 1
    sender.close()
    assert len(sink.received.sides["web"]) == 1


def test_only_what_the_answer_names_is_acknowledged() -> None:
    names = [Stream(1, 1).names(0)]
    named = b'{"00081199": "' + names[0].instance + b'"}'

    assert why_refused(Answer(200, b"", named), names) == ""
    assert "1 of 1" in why_refused(Answer(200, b"", b"{}"), names)
    assert "409" in why_refused(Answer(409, b"", named), names)
    assert "Failed SOP" in why_refused(Answer(202, b"", named + b"00081198"), names)


def test_a_refusal_ends_a_sender_and_is_told() -> None:
    class Refusing:
        def send(self) -> object:
            raise ConnectionResetError("gone")

        def close(self) -> None:
            pass

    driven = drive([Refusing()], seconds=1, most=10)  # type: ignore[list-item]

    assert driven.problems == ["no answer: gone"]
    assert not driven.latencies


def test_senders_share_the_number_wanted(sink: Sink) -> None:
    senders = [StowSender(_endpoint(sink), [pattern("small")], Stream(2, number)) for number in range(4)]

    driven = drive(senders, seconds=30, most=20)
    for sender in senders:
        sender.close()

    assert len(driven.acknowledged) == len(driven.latencies) == len(sink.received.sides["web"]) == 20
    assert driven.bytes == 20 * pattern("small").size
    assert driven.cpu_seconds < driven.seconds * 4


def test_an_instance_that_is_not_there_is_lost(sink: Sink) -> None:
    reader = Reader(_endpoint(sink))

    assert "404" in reader.why_lost(pattern("small"), Stream(1, 1).names(0))
    reader.close()


def test_the_only_part_of_a_multipart_body_is_its_bytes() -> None:
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--xDICM\r\n--x--\r\n"

    assert only_part(body) == b"DICM\r\n--xDICM"
    assert only_part(b"\r\n" + body) == b"DICM\r\n--xDICM"
    assert only_part(b"\x00\x01") == b"\x00\x01"
