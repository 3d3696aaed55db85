"""The controls of `fixtures/sabotage/around_router.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import (
    ABSENT,
    ALTERED,
    ANSWERS,
    ARCHIVE,
    BRIDGE,
    CUT_OFF,
    CUT_STUDY,
    ECHOES,
    LOST,
    OFFLINE_FIND,
    PIXELS,
    REPEATS,
    TO_BOTH,
    TOKEN,
    UID,
    Case,
    Red,
    case_of,
)

AROUND_ROUTER: tuple[Case, ...] = (
    case_of(
        "bridge-loses-every-tenth",
        [Red("CLAIM-ROUTER-02", BRIDGE, LOST)],
        ECHOES,
    ),
    case_of(
        "router-always-says-success",
        [
            Red("CLAIM-ROUTER-09", ANSWERS, "answered 0000, allowed"),
            Red(
                "CLAIM-DUAL-09",
                "test_dual.py::test_changed_content_under_the_same_uid_is_refused",
                "all acknowledged",
            ),
            Red(
                "CLAIM-AUTH-05",
                "test_auth_credentials.py::test_wrong_secret_is_noticed_and_its_correction_needs_no_restart",
                "all acknowledged",
            ),
            Red(
                "CLAIM-OFFLINE-05",
                "test_offline_limits.py::test_full_spool_refuses_and_what_was_accepted_is_delivered",
                "never full",
            ),
            Red(
                "CLAIM-RECOVERY-04",
                "test_recovery_attacks.py::test_what_happens_on_premises_changes_nothing_in_the_cloud",
                "0000",
            ),
        ],
        ECHOES,
    ),
    case_of(
        "failed-finds-look-empty",
        [
            Red(
                "CLAIM-PRIORS-11",
                "test_priors.py::test_query_that_cannot_be_executed_fails[refused]",
                "refused: 0 matches",
            ),
            Red("CLAIM-OFFLINE-03", f"{OFFLINE_FIND}[refused]", "refused:"),
            Red(
                "CLAIM-PRIORS-02",
                "test_priors_searching.py::test_key_that_cannot_be_applied_is_signalled",
                "a refused key ended with",
            ),
        ],
        ABSENT,
    ),
    case_of(
        "bridge-hides-matches",
        [
            Red(
                "CLAIM-PRIORS-01",
                "test_priors.py::test_pacs_query_lists_all_cloud_studies_and_those_of_one_patient",
                UID,
            ),
            Red("CLAIM-PRIORS-07", "test_priors_levels.py::test_queries_work_at_every_level", "a list of"),
        ],
        TOKEN,
    ),
    case_of(
        "repeats-are-errors",
        [
            Red("CLAIM-PUSH-03", "test_push.py::test_sending_again_changes_nothing", "Failure"),
            Red("CLAIM-DUAL-09", REPEATS, "0110"),
        ],
        ABSENT,
    ),
    case_of(
        "private-elements-stripped",
        [
            Red(
                "CLAIM-DUAL-03",
                "test_dual.py::test_both_copies_of_the_cast_are_identical[cast]",
                ALTERED,
            ),
            Red(
                "CLAIM-INTEGRITY-02",
                "test_integrity.py::test_no_way_changes_an_attribute[bridge]",
                ALTERED,
            ),
        ],
        ABSENT,
    ),
    case_of(
        "one-bit-flips",
        [Red("CLAIM-INTEGRITY-01", f"{PIXELS}[dual delivery]", ALTERED)],
        ECHOES,
    ),
    case_of(
        "archive-lands-in-the-pacs",
        [Red("CLAIM-MIGRATE-01", ARCHIVE, rf"landed in the PACS: .*{UID}")],
        TO_BOTH,
    ),
    case_of(
        "cloud-errors-are-swallowed",
        [
            Red("CLAIM-OFFLINE-04", CUT_STUDY, LOST),
        ],
        ECHOES,
    ),
    case_of(
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
        ECHOES,
    ),
    case_of(
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
    case_of(
        "stop-is-swallowed",
        [
            Red(
                "CLAIM-ROUTER-05",
                "test_router.py::test_one_path_stopped_leaves_the_other_and_the_queue_alone[cloud-bridge-modality-intake]",
                "cloud-bridge to refuse",
            ),
            Red("CLAIM-OFFLINE-03", "test_offline.py::test_stopped_bridge_refuses_queries", "accepted"),
            Red(
                "CLAIM-OFFLINE-07",
                "test_offline_limits.py::test_stopped_paths_behave_as_the_demo_says",
                "the stopped listener still answers",
            ),
        ],
        ECHOES,
    ),
    case_of(
        "migration-takes-the-first-arrived",
        [Red("CLAIM-MIGRATE-02", "test_migrate.py::test_the_oldest_studies_go_first", UID)],
        CUT_OFF,
    ),
    case_of(
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
    case_of(
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
    case_of(
        "kill-does-not-kill",
        [
            Red(
                "CLAIM-RECOVERY-01",
                "test_recovery.py::test_cloud_serves_every_study_with_the_pacs_down",
                "the PACS still answers",
            ),
            Red(
                "CLAIM-OFFLINE-06",
                "test_offline_limits.py::test_token_service_down_is_felt_when_the_token_ends",
                "the token service is dead",
            ),
        ],
        ABSENT,
    ),
    case_of(
        "queued-counts-as-delivered",
        [
            Red(
                "CLAIM-RECOVERY-05",
                "test_recovery_knowing.py::test_audit_export_predicts_what_is_lost",
                "said to be recoverable",
            )
        ],
        ECHOES,
    ),
    case_of(
        "cloud-restarts-with-the-pacs-gone",
        [
            Red(
                "CLAIM-RECOVERY-03",
                "test_recovery_shift.py::test_first_picture_after_the_loss_needs_nothing_to_be_done",
                "something was restarted",
            )
        ],
        ECHOES,
    ),
    case_of(
        "cloud-depends-on-on-prem",
        [
            Red(
                "CLAIM-RECOVERY-02",
                "test_recovery.py::test_cloud_copy_is_complete_after_the_loss_of_everything_on_prem",
                UID,
            )
        ],
        TOKEN,
    ),
)
