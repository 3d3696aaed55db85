"""API versions: what answers say about them, and that data has none (VER-008 to VER-012, API-002, API-009, API-014)."""

import json

import pytest
import yaml

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.service import Service

pytestmark = pytest.mark.azure

DOCUMENTS = {"v1-prerelease": "v1.0-prerelease", "v1": "v1", "v2": "v2"}


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


def supported(answer: Response) -> set[str]:
    """The versions the answer lists."""
    return {name.strip() for name in answer.header("api-supported-versions").split(",")}


@requirement("VER-008", "API-002")
@pytest.mark.parametrize("version", ["v1.0-prerelease", "v1", "v2"])
def test_supported_versions(service: Service, stored: Made, make: Maker, version: str) -> None:
    """Successes and errors of the actions list the served versions (VER-008, API-002)."""
    web, other = service.web(version=version), make()
    for answer in (
        web.store([other.part10]).response,
        web.metadata(*stored.uids),
        web.metadata(make.uid()),
        web.metadata("not-a-uid"),
        web.search("studies", StudyInstanceUID=stored.study),
        web.search("studies", limit="x"),
        web.change_feed(limit=1),
        web.delete(other.study),
        web.delete(other.study),
    ):
        assert supported(answer) >= {"1.0-prerelease", "1", "2"}, answer.describe()


@requirement("VER-009")
def test_no_version_is_deprecated(service: Service, stored: Made) -> None:
    """No answer of any version carries api-deprecated-versions (VER-009)."""
    for version in ("v1.0-prerelease", "v1", "v2"):
        for answer in (
            service.web(version=version).metadata(*stored.uids),
            service.web(version=version).metadata("1.2.3"),
        ):
            assert answer.header("api-supported-versions"), "the header that is there on the same answer"
            assert not answer.header("api-deprecated-versions")


@requirement("VER-010", "API-009")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_openapi_documents(service: Service, name: str) -> None:
    """The OpenAPI document of each version is served as JSON and YAML without a token (VER-010, API-009)."""
    as_json = service.anonymous.request("GET", f"/{name}/api.json")
    as_yaml = service.anonymous.request("GET", f"/{name}/api.yaml")
    assert as_json.status == as_yaml.status == 200
    document, same = json.loads(as_json.body), yaml.safe_load(as_yaml.body)
    assert str(document["openapi"]).startswith("3."), document.get("openapi")
    assert document["paths"].keys() == same["paths"].keys()
    assert all(path.startswith(f"/{DOCUMENTS[name]}/") for path in document["paths"]), (
        "paths start with the version"
    )
    assert f"/{DOCUMENTS[name]}/changefeed" in document["paths"]


@requirement("VER-010", "API-009")
@pytest.mark.parametrize("name", ["v1.0-prerelease", "v3", "v2.0", "swagger"])
def test_other_documents(service: Service, name: str) -> None:
    """Another document name answers 404: the zero minor version is left out (VER-010, API-009)."""
    for form in ("json", "yaml"):
        answer = service.anonymous.request("GET", f"/{name}/api.{form}")
        assert answer.status == 404, f"{name}: {answer.describe()}"


@requirement("API-009")
@pytest.mark.parametrize("path", ["/swagger", "/swagger/index.html", "/swagger/ui"])
def test_no_swagger_page(service: Service, path: str) -> None:
    """There is no page to browse the API (API-009)."""
    assert service.http().request("GET", path).status == 404
    assert service.anonymous.request("GET", "/v2/api.json").status == 200


@requirement("VER-011")
@pytest.mark.parametrize("version", ["v1.0-prerelease", "v1", "v2"])
def test_links_keep_the_version(service: Service, make: Maker, version: str) -> None:
    """The Retrieve URL of a stored instance has the version segment of the request and works (VER-011)."""
    made, web = make(), service.web(version=version)
    answer = web.store([made.part10], study=made.study)
    url = answer.retrieve_urls[made.instance]
    of_study = answer.response.json()["00081190"]["Value"][0]
    assert url.endswith(f"/{version}{made.path()}"), url
    assert of_study.endswith(f"/{version}{made.path('study')}"), of_study
    path = (
        url[len(service.http().base_url) :]
        if url.startswith(service.http().base_url)
        else f"/{version}{made.path()}"
    )
    assert service.http().request("GET", f"{path}/metadata", headers=[("Accept", DICOM_JSON)]).status == 200


@requirement("VER-012")
def test_data_belongs_to_no_version(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """What one version stored the other retrieves with the same bytes, and deletes (VER-012)."""
    for storing, other in ((v1, v2), (v2, v1)):
        made = make()
        assert storing.store([made.part10]).status == 200
        assert other.retrieve(*made.uids) == storing.retrieve(*made.uids) == [made.part10]
        assert other.metadata(*made.uids).json() == storing.metadata(*made.uids).json()
        assert other.delete(made.study).status == 204
        assert storing.metadata(made.study).status == 404


@requirement("API-014")
@pytest.mark.parametrize("path", ["/", "/viewer/", "/viewer/any/page"])
def test_bundled_viewer_page(service: Service, path: str) -> None:
    """The root and /viewer/ show the bundled viewer's page or nothing, both without a token (API-014)."""
    answer = service.anonymous.request("GET", path)
    assert answer.status in (200, 404), f"a viewer is a page, its absence 404: {answer.describe()}"
    if answer.status == 200:
        assert answer.content_type.partition(";")[0] == "text/html"
    assert answer.status == service.anonymous.request("GET", "/viewer/").status, "both pages or neither"
