"""The controls of `fixtures/sabotage/around_priors.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import ABSENT, ECHOES, LOST, Case, Red, case_of

ORDER = "test_prefetch.py::test_order_brings_every_prior_that_the_pacs_lacks"
EXACT = "test_prefetch_patients.py::test_only_the_exact_patient_is_fetched"

AROUND_PRIORS: tuple[Case, ...] = (
    case_of(
        "moves-always-succeed",
        [
            Red(
                "CLAIM-PRIORS-08",
                "test_priors_endings.py::test_retrieval_of_which_nothing_came_is_a_failure",
                "status 0000",
            ),
            Red(
                "CLAIM-PRIORS-09",
                "test_priors_endings.py::test_wrong_requests_are_answered_at_once",
                "unknown destination",
            ),
            Red(
                "CLAIM-PRIORS-10",
                "test_priors_endings.py::test_query_and_retrieval_can_be_cancelled",
                "status 0000",
            ),
        ],
        ABSENT,
    ),
    case_of(
        "retrievals-show-no-progress",
        [
            Red(
                "CLAIM-PRIORS-05",
                "test_priors_retrieving.py::test_first_image_comes_before_the_last_is_fetched_and_progress_is_shown",
                "no progress was shown",
            )
        ],
        ABSENT,
    ),
    case_of(
        "prefetch-takes-only-the-newest",
        [
            Red("CLAIM-PREFETCH-01", ORDER, LOST),
            Red(
                "CLAIM-PREFETCH-06",
                "test_prefetch_limits.py::test_limits_leave_the_studies_that_they_say",
                r"age: 1 fetched, \d+ wanted",
            ),
        ],
        EXACT,
    ),
    case_of(
        "every-order-is-a-run",
        [
            Red(
                "CLAIM-PREFETCH-03",
                "test_prefetch.py::test_repeated_and_parallel_orders_move_nothing",
                r"\d+ runs for ten orders|a second run in one window",
            )
        ],
        ORDER,
    ),
    case_of(
        "prefetch-tries-once",
        [
            Red(
                "CLAIM-PREFETCH-05",
                "test_prefetch_failures.py::test_failed_transfer_is_made_up_for",
                "failed",
            )
        ],
        ORDER,
        ECHOES,
    ),
)
