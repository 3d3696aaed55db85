"""For each sabotaged world: the demo's tests that it must turn red and why, and tests beside them that must stay green.

The tests are the cheapest that look at the falsifier. What a world breaks besides is not listed: `spares` shows that
it does not break everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fixtures.sabotage import SABOTAGES, Sabotage

UID = r"2\.25\.\d+\.[\d.]+"
"""A UID of the run: what is lost is named."""
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


def _case(name: str, red: Iterable[Red], *spares: str) -> Case:
    return Case(SABOTAGES[name], tuple(red), spares)


CASES = (
    _case(
        "cloud-loses-every-tenth",
        [Red("CLAIM-DUAL-01", NEW_STUDY, LOST), Red("CLAIM-PUSH-01", PUSH, LOST)],
        PRELOAD,
    ),
    _case(
        "second-page-is-empty",
        [
            Red(
                "CLAIM-PRIORS-06",
                "test_priors.py::test_retrieval_is_complete_beyond_the_page_size[201]",
                UID,
            )
        ],
        ABSENT,
    ),
    _case(
        "pictures-change-on-the-way-back",
        [Red("CLAIM-PRIORS-03", PRIOR, rf"altered \(\d+\):\s+{UID}")],
        PRELOAD,
    ),
    _case(
        "pacs-loses-every-tenth",
        [Red("CLAIM-ONPREM-01", PRELOAD, LOST), Red("CLAIM-ROUTER-04", TO_BOTH, LOST)],
        BRIDGE,
    ),
    _case(
        "pacs-without-login",
        [
            Red(
                "CLAIM-ONPREM-02",
                "test_onprem.py::test_pacs_without_login_gives_nothing[none]",
                "answered 200",
            )
        ],
        PRELOAD,
    ),
    _case("pacs-hides-studies", [Red("CLAIM-ONPREM-05", LOCAL_SEARCH, "C-FIND by")], PRELOAD),
    _case("pacs-answers-strangers", [Red("CLAIM-ONPREM-05", BY_STRANGER, "answered a stranger")], PRELOAD),
    _case(
        "pacs-converts-on-arrival",
        [
            Red("CLAIM-ROUTER-03", f"{SYNTAX}[jpeg-lossless]", r"1\.2\.840\.10008\.1\.2\.4\.70"),
            Red("CLAIM-INTEGRITY-01", f"{PIXELS}[retrieval]", UID),
        ],
        f"{SYNTAX}[explicit]",
    ),
    _case(
        "modality-talks-to-the-router",
        [Red("CLAIM-ONPREM-04", "test_onprem.py::test_new_studies_sent_directly_stay_on_prem", UID)],
        ECHOES,
    ),
    _case(
        "dead-router-blocks-the-pacs",
        [Red("CLAIM-DUAL-04", DIRECT, "aborted|refused|rejected|no-answer")],
        PRELOAD,
    ),
    _case(
        "one-queue-for-both",
        [Red("CLAIM-DUAL-06", "test_dual.py::test_slow_cloud_does_not_hold_up_the_pacs", "'pacs'")],
        TO_BOTH,
    ),
    _case(
        "everything-waits-for-the-cloud",
        [
            Red(
                "CLAIM-OFFLINE-01",
                "test_offline.py::test_pacs_is_fully_usable_without_internet[refuse]",
                "aborted|refused|no-answer",
            ),
            Red(
                "CLAIM-OFFLINE-02",
                "test_offline.py::test_new_studies_reach_the_pacs_through_the_router",
                "aborted|refused|no-answer",
            ),
        ],
        PRELOAD,
    ),
    _case(
        "retrieved-instances-get-lost",
        [
            Red("CLAIM-RECOVERY-06", "test_recovery.py::test_new_pacs_is_filled_from_the_cloud", LOST),
        ],
        TO_BOTH,
    ),
    _case(
        "bridge-loses-every-tenth",
        [Red("CLAIM-ROUTER-02", BRIDGE, LOST), Red("CLAIM-MIGRATE-01", ARCHIVE, LOST)],
        TO_BOTH,
    ),
    _case(
        "router-always-says-success",
        [
            Red("CLAIM-ROUTER-09", ANSWERS, "answered 0000, allowed"),
            Red("CLAIM-DUAL-09", "test_dual.py::test_changed_content_under_the_same_uid_is_refused", "."),
        ],
        PUSH,
    ),
    _case(
        "failed-finds-look-empty",
        [
            Red(
                "CLAIM-PRIORS-11",
                "test_priors.py::test_query_that_cannot_be_executed_fails[refused]",
                "refused: 0 matches",
            ),
            Red("CLAIM-OFFLINE-03", f"{OFFLINE_FIND}[refused]", "refused:"),
        ],
        ABSENT,
    ),
    _case(
        "bridge-hides-matches",
        [
            Red(
                "CLAIM-PRIORS-01",
                "test_priors.py::test_pacs_query_lists_all_cloud_studies_and_those_of_one_patient",
                UID,
            )
        ],
        PUSH,
    ),
    _case(
        "repeats-are-errors",
        [
            Red("CLAIM-PUSH-03", "test_push.py::test_sending_again_changes_nothing", "Failure"),
            Red("CLAIM-DUAL-09", REPEATS, "0110"),
        ],
        TO_BOTH,
    ),
    _case(
        "private-elements-stripped",
        [
            Red(
                "CLAIM-DUAL-03",
                "test_dual.py::test_both_copies_of_the_cast_are_identical[cast]",
                rf"altered \(\d+\):\s+{UID}",
            ),
            Red(
                "CLAIM-INTEGRITY-02",
                "test_integrity.py::test_no_way_changes_an_attribute[bridge]",
                rf"altered \(\d+\):\s+{UID}",
            ),
        ],
        PRELOAD,
    ),
    _case(
        "one-bit-flips",
        [Red("CLAIM-INTEGRITY-01", f"{PIXELS}[dual delivery]", rf"altered \(\d+\):\s+{UID}")],
        PRELOAD,
    ),
    _case("archive-lands-in-the-pacs", [Red("CLAIM-MIGRATE-01", ARCHIVE, ".")], TO_BOTH),
    _case(
        "cloud-errors-are-swallowed",
        [
            Red("CLAIM-OFFLINE-04", CUT_STUDY, LOST),
            Red("CLAIM-DUAL-06", "test_dual.py::test_refused_objects_do_not_block_those_behind_them", LOST),
        ],
        TO_BOTH,
    ),
    _case(
        "queue-in-memory",
        [
            Red(
                "CLAIM-DUAL-07",
                "test_dual.py::test_killed_router_loses_nothing_it_acknowledged[between PACS and cloud]",
                LOST,
            ),
            Red(
                "CLAIM-ROUTER-09",
                "test_router.py::test_intake_success_survives_the_death_of_the_router",
                LOST,
            ),
        ],
        TO_BOTH,
    ),
    _case(
        "connection-tests-always-pass",
        [
            Red(
                "CLAIM-ROUTER-01",
                "test_router.py::test_connection_tests_name_the_stopped_part[cloud]",
                "cloud-qido",
            )
        ],
        ECHOES,
    ),
    _case(
        "stop-is-swallowed",
        [
            Red(
                "CLAIM-ROUTER-05",
                "test_router.py::test_one_path_stopped_leaves_the_other_and_the_queue_alone[cloud-bridge-modality-intake]",
                "cloud-bridge to refuse",
            ),
            Red("CLAIM-OFFLINE-03", "test_offline.py::test_stopped_bridge_refuses_queries", "accepted"),
        ],
        ECHOES,
    ),
    _case(
        "migration-takes-the-first-arrived",
        [Red("CLAIM-MIGRATE-02", "test_migrate.py::test_the_oldest_studies_go_first", UID)],
        CUT_OFF,
    ),
    _case(
        "migration-deletes-unproven",
        [
            Red(
                "CLAIM-MIGRATE-03",
                "test_migrate.py::test_nothing_is_removed_while_the_cloud_copy_is_unproven[instance lost after the answer]",
                LOST,
            )
        ],
        CUT_OFF,
    ),
    _case(
        "files-stay-on-disk",
        [
            Red(
                "CLAIM-MIGRATE-04",
                "test_migrate.py::test_the_pacs_is_lighter_by_what_was_migrated",
                "leave the PACS storage",
            )
        ],
        CUT_OFF,
    ),
    _case(
        "kill-does-not-kill",
        [
            Red(
                "CLAIM-RECOVERY-01",
                "test_recovery.py::test_cloud_serves_every_study_with_the_pacs_down",
                "the PACS still answers",
            )
        ],
        PRELOAD,
    ),
    _case(
        "cloud-depends-on-on-prem",
        [
            Red(
                "CLAIM-RECOVERY-02",
                "test_recovery.py::test_cloud_copy_is_complete_after_the_loss_of_everything_on_prem",
                UID,
            )
        ],
        PUSH,
    ),
    _case(
        "secret-is-not-looked-at",
        [Red("CLAIM-AUTH-01", "test_auth.py::test_no_token_without_the_secret[no secret-v2]", "200")],
        TOKEN,
    ),
    _case(
        "cloud-without-login",
        [Red("CLAIM-AUTH-02", NO_TOKEN, "without any token: .*search studies")],
        PRELOAD,
    ),
    _case(
        "rendered-frames-left-open", [Red("CLAIM-AUTH-02", NO_TOKEN, "without any token: .*rendered")], TOKEN
    ),
    _case(
        "reader-may-delete",
        [Red("CLAIM-AUTH-03", f"{ROLES}[reader]", "reader: .* not 403")],
        f"{ROLES}[writer]",
    ),
)
