"""The controls of `fixtures/sabotage/around_service.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import ECHOES, TOKEN, Case, Red, case_of

BASIC_PATH = "test_service.py::test_the_service_stores_finds_and_returns[v2]"
FEED = "test_service.py::test_the_change_feed_tells_every_change_once"
TAGS = "test_service.py::test_extended_query_tags_find_old_and_new"
COLLECTION = "test_service_witnesses.py::test_the_published_collection_is_answered_as_documented[v2]"
PYTHON = "test_service_witnesses.py::test_each_step_of_the_python_tutorial_works"
MIXED = "test_integrity_run.py::test_a_long_mixed_run_loses_doubles_and_invents_nothing[1]"
CORRECTED = "test_corrections.py::test_reconciliation_names_what_was_corrected_in_the_pacs"
SPLIT = "test_corrections.py::test_neither_migration_nor_prefetch_mixes_corrected_and_old"

AROUND_SERVICE: tuple[Case, ...] = (
    case_of(
        "cloud-refuses-single-files",
        [
            Red("CLAIM-INTEGRITY-04", BASIC_PATH, "store one as it is: 415"),
            Red("CLAIM-INTEGRITY-09", COLLECTION, "1 store triangle.*415, not 200"),
            Red("CLAIM-INTEGRITY-13", PYTHON, "store one as it is: 415"),
        ],
        FEED,
    ),
    case_of(
        "refused-searches-look-empty",
        [
            Red("CLAIM-INTEGRITY-04", BASIC_PATH, "204"),
            Red("CLAIM-INTEGRITY-06", TAGS, "204"),
        ],
        FEED,
    ),
    case_of(
        "cloud-in-memory",
        [
            Red(
                "CLAIM-PUSH-07",
                "test_push_load.py::test_acknowledged_images_survive_a_kill_under_load",
                r"acknowledged images are lost: \['2\.25\.",
            )
        ],
        BASIC_PATH,
    ),
    case_of(
        "feed-forgets-deletes",
        [
            Red("CLAIM-INTEGRITY-03", MIXED, r"the change feed has \d+ entries of \d+"),
            Red("CLAIM-INTEGRITY-05", FEED, "the feed tells otherwise"),
        ],
        BASIC_PATH,
    ),
    case_of(
        "pacs-logs-payloads",
        [
            Red(
                "CLAIM-INTEGRITY-07",
                "test_boundary.py::test_patient_data_are_only_where_they_belong",
                "log of pacs",
            )
        ],
        TOKEN,
    ),
    case_of(
        "audit-loses-lines",
        [
            Red(
                "CLAIM-INTEGRITY-10",
                "test_audit.py::test_the_audit_alone_tells_where_everything_is",
                "does not hold|differ in|has no line",
            )
        ],
        ECHOES,
    ),
    case_of("reconciliation-by-uid-only", [Red("CLAIM-INTEGRITY-11", CORRECTED, "not exactly these")], SPLIT),
    case_of(
        "loading-is-swallowed",
        [
            Red(
                "CLAIM-INTEGRITY-12",
                "test_retention.py::test_what_is_delivered_leaves_the_spool_and_what_is_open_stays",
                "the stated time",
            )
        ],
        CORRECTED,
    ),
)
