"""ROUTER-107: quiet tells that a study is complete."""

from pydicom.uid import generate_uid

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter
from tests.router.fakes import make_dataset, send


def test_study_is_complete_after_its_quiet_period_and_not_before(make_router: MakeRouter) -> None:
    router = make_router(completion="series_seconds = 0.5\nstudy_seconds = 1")
    study = generate_uid()
    assert router.ask("GET", f"/studies/{study}").status_code == 404
    assert send(router.intake, [make_dataset(study=study) for _ in range(2)]) == [0, 0]
    found = router.ask("GET", f"/studies/{study}").json()
    assert (found["instances"], found["series"][0]["instances"]) == (2, 2)
    eventually(
        lambda: router.ask("GET", f"/studies/{study}").json()["complete"],
        within=5,
        because="the quiet period",
    )
    assert router.ask("GET", f"/studies/{study}").json()["series"][0]["complete"] is True
    assert send(router.intake, [make_dataset(study=study)]) == [0]
    again = router.ask("GET", f"/studies/{study}").json()
    assert (again["complete"], again["instances"]) == (False, 3)
