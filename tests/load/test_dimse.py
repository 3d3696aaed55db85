import socket
import threading
from io import BytesIO
from zlib import crc32

import pytest
from pydicom import dcmread
from pynetdicom import AE, evt

from fixtures.deployment.endpoints import DimseAddress
from fixtures.load.corpus import pattern
from fixtures.load.dimse import StoreSender
from fixtures.load.naming import Stream
from fixtures.load.sink import TAIL
from fixtures.load.upper_layer import NotAssociated
from tests.load.conftest import Sink

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize("size", ["small", "medium"])
def test_what_pynetdicom_receives_is_the_pattern(size: str) -> None:
    received: list[bytes] = []

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset())
        return 0x0000

    entity = AE(ae_title="PEER")
    entity.add_supported_context(CT)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    sender = StoreSender(DimseAddress("PEER", *server.server_address), [pattern(size)], Stream(1, 1))
    sent = [sender.send() for _ in range(3)]
    sender.close()
    server.shutdown()

    assert not any(one.refused for one in sent)
    names = [one.acknowledged[0][1] for one in sent]
    assert all(pattern(size).is_dataset_of(one, file) for one, file in zip(names, received, strict=True))
    assert dcmread(BytesIO(received[2])).SOPInstanceUID == names[2].instance.decode()


def test_a_status_that_is_not_success_is_a_refusal() -> None:
    entity = AE()
    entity.add_supported_context(CT)
    handlers = [(evt.EVT_C_STORE, lambda _: 0xA700)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    sender = StoreSender(DimseAddress("PEER", *server.server_address), [pattern("small")], Stream(1, 1))

    sent = sender.send()
    sender.close()
    server.shutdown()

    assert sent.refused == "C-STORE status A700"
    assert not sent.acknowledged


def test_a_peer_that_takes_no_ct_is_not_associated() -> None:
    entity = AE()
    entity.add_supported_context("1.2.840.10008.1.1")
    server = entity.start_server(("127.0.0.1", 0), block=False)

    with pytest.raises(NotAssociated):
        StoreSender(DimseAddress("PEER", *server.server_address), [pattern("small")], Stream(1, 1))
    server.shutdown()


def test_the_sink_takes_what_pynetdicom_sends(sink: Sink) -> None:
    one, names = pattern("medium"), Stream(3, 1).names(0)
    entity = AE()
    entity.add_requested_context(CT, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", sink.dimse)

    status = association.send_c_store(dcmread(BytesIO(one.part10(names))))
    association.release()

    assert status.Status == 0
    assert sink.received.sides["dimse"] == {names.instance.decode(): crc32(one.pixels[-TAIL:])}


def test_sender_and_sink_understand_each_other(sink: Sink) -> None:
    sender = StoreSender(DimseAddress("SINK", "127.0.0.1", sink.dimse), [pattern("small")], Stream(4, 1))

    sent = [sender.send() for _ in range(5)]
    sender.close()

    assert [len(one.acknowledged) for one in sent] == [1] * 5
    assert len(sink.received.sides["dimse"]) == 5


def test_a_peer_that_closes_is_an_error_not_a_success() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def close_at_once() -> None:
        connection, _ = listener.accept()
        connection.close()

    thread = threading.Thread(target=close_at_once)
    thread.start()
    with pytest.raises(OSError):  # noqa: PT011 - reset or closed, as the kernel likes
        StoreSender(
            DimseAddress("PEER", "127.0.0.1", listener.getsockname()[1]), [pattern("small")], Stream(1, 1)
        )
    thread.join()
    listener.close()
