"""The controls of `fixtures/sabotage/around_keeping.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import ABSENT, ALTERED, CUT_OFF, ECHOES, LOST, TOKEN, Case, Red, case_of

NEW_ENVIRONMENT = (
    "test_provision_environment.py::test_new_environment_is_as_declared_empty_and_leaves_no_trace"
)
INPUTS = "test_provision_inputs.py::test_what_needs_the_network_is_named_while_the_intake_goes_on"
COMMITMENT = "test_dual_commitment.py::test_queued_instances_are_committed_after_their_delivery"

AROUND_KEEPING: tuple[Case, ...] = (
    case_of(
        "router-syncs-nothing",
        [
            Red(
                "CLAIM-DUAL-12",
                "test_dual_durability.py::test_acknowledged_objects_are_on_the_disk_before_the_answer",
                "was not synced before the answer",
            )
        ],
        ECHOES,
    ),
    case_of(
        "closed-studies-take-nothing-more",
        [
            Red(
                "CLAIM-DUAL-13",
                "test_dual_late.py::test_late_images_complete_the_study_everywhere",
                LOST,
            )
        ],
        ECHOES,
    ),
    case_of(
        "commitment-without-the-cloud",
        [
            Red(
                "CLAIM-DUAL-14",
                COMMITMENT,
                "committed while the cloud's copy was still queued|committed before the cloud held it",
            )
        ],
        ECHOES,
    ),
    case_of(
        "router-holds-objects-in-memory",
        [
            Red(
                "CLAIM-DUAL-15",
                "test_dual_durability.py::test_large_objects_pass_every_way_in_bounded_memory",
                r"'router': '\d+ MiB'",
            )
        ],
        ECHOES,
    ),
    case_of(
        "migrated-studies-leave-something",
        [
            Red(
                "CLAIM-MIGRATE-05",
                "test_migrate_round_trip.py::test_pacs_stays_quick_during_and_after_migrations",
                "the PACS changed by",
            )
        ],
        ECHOES,
    ),
    case_of(
        "interrupted-migrations-are-done",
        [
            Red(
                "CLAIM-MIGRATE-06",
                "test_migrate_safety.py::test_interrupted_migration_ends_as_an_uninterrupted_one",
                "do not have each instance once",
            )
        ],
        ECHOES,
    ),
    case_of(
        "migration-takes-whole-patients",
        [
            Red(
                "CLAIM-MIGRATE-07",
                "test_migrate_safety.py::test_recent_studies_and_late_images_are_not_touched",
                LOST,
            )
        ],
        CUT_OFF,
    ),
    case_of(
        "pacs-compresses-what-arrives",
        [
            Red(
                "CLAIM-MIGRATE-08",
                "test_migrate_round_trip.py::test_migrated_studies_come_back_unchanged",
                ALTERED,
            )
        ],
        ECHOES,
    ),
    case_of(
        "manifest-hides-failures",
        [
            Red(
                "CLAIM-MIGRATE-09",
                "test_migrate_safety.py::test_manifest_says_what_happened_to_every_instance",
                "rows are not the selected instances",
            )
        ],
        CUT_OFF,
    ),
    case_of(
        "pacs-under-another-title",
        [
            Red("CLAIM-PROVISION-01", NEW_ENVIRONMENT, "ARCHIVE"),
            Red(
                "CLAIM-PROVISION-02",
                "test_provision_ways.py::test_published_compose_file_describes_the_same_environment",
                "DicomAet",
            ),
        ],
        ABSENT,
    ),
    case_of(
        "wrong-principals-look-healthy",
        [Red("CLAIM-PROVISION-03", f"{INPUTS}[principal without a role]", "looks healthy")],
        TOKEN,
    ),
    case_of(
        "new-services-ask-nobody",
        [Red("CLAIM-PROVISION-04", NEW_ENVIRONMENT, "asks for no token")],
        ABSENT,
    ),
    case_of(
        "router-leaves-the-pacs-astray",
        [
            Red(
                "CLAIM-PROVISION-05",
                "test_provision_stages.py::test_each_stage_works_and_can_be_taken_back",
                "cannot send to the router any more",
            )
        ],
        ABSENT,
    ),
    case_of(
        "bridge-only-says-yes",
        [
            Red(
                "CLAIM-PROVISION-07",
                "test_provision_walk.py::test_the_whole_demo_in_order_on_one_environment",
                "after 'Jule pushed'",
            )
        ],
        ECHOES,
    ),
    case_of(
        "redeployment-begins-anew",
        [
            Red(
                "CLAIM-PROVISION-08",
                "test_provision_stages.py::test_defaults_are_enough_and_deploying_again_changes_nothing",
                "the queue to hold",
            )
        ],
        ABSENT,
    ),
)
