"""The library requests as a client of the service, coded as Microsoft's Python tutorial says."""

from collections.abc import Mapping
from typing import Any

import requests
from urllib3.filepost import choose_boundary, encode_multipart_formdata

from fixtures.clients.answers import Response
from suites.azure.data import Made
from suites.azure.service import Service

_SECONDS = 60


class Tutorial:
    """The tutorial's `requests.session()` and base address."""

    def __init__(self, service: Service, version: str, session: requests.Session) -> None:
        cloud = service.deployment.cloud
        self._base = f"{cloud.url}/{version}"
        self._token = service.tokens("owner")
        self._session = session
        session.trust_env = False  # a CA bundle or proxy of the environment is not the run's
        session.verify = str(cloud.ca_file) if cloud.ca_file else True

    def __call__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Response:
        """Send it, and what was answered; requests adds its own User-Agent, Accept-Encoding and Connection."""
        sent = {**headers, "Authorization": f"Bearer {self._token()}"}
        answer = self._session.request(
            method, self._base + path, data=body, headers=sent, params=params, timeout=_SECONDS
        )
        return Response(answer.status_code, tuple(answer.headers.items()), answer.content, answer.reason)


def encoded(*made: Made) -> tuple[bytes, str]:
    """Body and content type as the tutorial makes them: form data of urllib3 under another name, without `type`."""
    boundary = choose_boundary()
    fields: dict[str, Any] = {
        f"file{number}": ("dicomfile", one.part10, "application/dicom") for number, one in enumerate(made)
    }
    body, _ = encode_multipart_formdata(fields, boundary)
    return body, f"multipart/related; boundary={boundary}"
