"""What a control is: a sabotaged world, what must be seen of it, and the names of the tests it is seen by."""

from collections.abc import Iterable
from dataclasses import dataclass

from fixtures.sabotage import SABOTAGES, Sabotage

UID = r"2\.25\.\d+\.[\d.]+"
"""A UID of the run: what is lost is named."""
ALTERED = rf"altered \(\d+\):\s+{UID}"
LOST = rf"lost \(\d+\):\s+{UID}"


@dataclass(frozen=True)
class Red:
    """A test of `suites/demo` that must fail, the claim it fails for, and what its reason must say (a pattern)."""

    claim: str
    test: str
    says: str


@dataclass(frozen=True)
class Case:
    """One sabotage and what is seen of it."""

    sabotage: Sabotage
    red: tuple[Red, ...]
    spares: tuple[str, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """Everything to run."""
        return (*(red.test for red in self.red), *self.spares)

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims whose checks are under test."""
        return tuple(dict.fromkeys(red.claim for red in self.red))


PRELOAD = "test_onprem.py::test_preload_sent_by_the_modality_is_in_the_pacs"
NEW_STUDY = "test_dual.py::test_new_study_sent_once_appears_in_both_places"
TO_BOTH = "test_router.py::test_intake_copies_everything_to_both[one]"
ECHOES = "test_router.py::test_connection_tests_pass_when_all_is_well"
PUSH = "test_push.py::test_send_to_modality_copies_the_chosen_study_completely"
ARCHIVE = "test_migrate.py::test_archive_sent_to_the_bridge_is_in_the_cloud_only"
PRIOR = "test_priors.py::test_prior_is_retrieved_into_the_pacs"
ABSENT = "test_priors.py::test_nothing_found_is_a_success_without_matches"
TOKEN = "test_auth.py::test_client_credentials_give_a_token_the_service_accepts[v2]"
CUT_OFF = "test_migrate.py::test_the_cut_off_date_limits_the_selection"
REPEATS = "test_dual.py::test_repeated_transfers_are_delivered_once"
BRIDGE = "test_router.py::test_bridge_carries_store_find_and_move_to_the_cloud"
ANSWERS = "test_router.py::test_bridge_answer_tells_the_truth_for_each_cloud_outcome"
SYNTAX = "test_router.py::test_router_delivers_each_transfer_syntax_to_the_pacs"
BY_STRANGER = "test_onprem.py::test_local_search_by_a_stranger_is_refused_and_not_empty"
LOCAL_SEARCH = "test_onprem.py::test_local_search_finds_what_the_pacs_holds[all running]"
DIRECT = "test_dual.py::test_direct_path_works_with_the_router_dead_or_busy"
PIXELS = "test_integrity.py::test_no_way_changes_a_pixel"
ROLES = "test_auth.py::test_each_role_may_do_what_it_is_for"
NO_TOKEN = "test_auth.py::test_no_interface_answers_without_a_valid_token"
OFFLINE_FIND = "test_offline.py::test_cloud_query_and_retrieve_fail_openly_and_soon"
CUT_STUDY = "test_offline.py::test_cut_in_the_middle_is_made_good[in the middle of a study]"


def case_of(name: str, red: Iterable[Red], *spares: str) -> Case:
    """The case of the sabotage of that name."""
    return Case(SABOTAGES[name], tuple(red), spares)
