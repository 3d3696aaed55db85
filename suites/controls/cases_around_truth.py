"""The controls of `fixtures/sabotage/around_truth.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import ABSENT, ECHOES, PRELOAD, Case, Red, case_of

_FAILURES = "test_push_failures.py"

AROUND_TRUTH: tuple[Case, ...] = (
    case_of(
        "pacs-shows-the-first-frame",
        [
            Red(
                "CLAIM-ONPREM-03",
                "test_onprem_pictures.py::test_previews_show_their_own_frame",
                r"frame 2 of US",
            )
        ],
        PRELOAD,
    ),
    case_of(
        "pacs-forgets-what-it-sent",
        [
            Red(
                "CLAIM-PUSH-06",
                f"{_FAILURES}::test_sending_leaves_the_pacs_as_it_was",
                "a file changed|does not hold|lacks",
            )
        ],
        PRELOAD,
    ),
    case_of(
        "accepted-counts-as-delivered",
        [
            Red(
                "CLAIM-ROUTER-08",
                "test_router_truth.py::test_refused_instances_stay_listed_until_they_are_delivered",
                "the status counts",
            )
        ],
        PRELOAD,
    ),
    case_of(
        "every-configuration-is-taken",
        [
            Red(
                "CLAIM-ROUTER-06",
                "test_router_configuration.py::test_bad_configuration_is_refused_and_the_old_one_stays",
                "a misspelt key was answered",
            )
        ],
        ECHOES,
    ),
    case_of(
        "router-takes-every-called-title",
        [
            Red(
                "CLAIM-ROUTER-11",
                "test_router_configuration.py::test_mis_addressed_modality_is_told_so",
                "association accepted",
            )
        ],
        ECHOES,
    ),
    case_of(
        "bridge-confirms-refusals",
        [
            Red(
                "CLAIM-ROUTER-10",
                "test_router_truth.py::test_every_failed_cloud_operation_reaches_a_human",
                "the sender is told 0",
            ),
            Red(
                "CLAIM-PUSH-04",
                f"{_FAILURES}::test_object_the_cloud_refuses_is_a_failed_send",
                "the job is Success",
            ),
            Red(
                "CLAIM-PUSH-05",
                f"{_FAILURES}::test_partial_failure_is_named_and_the_repeat_completes_the_study[43264]",
                "the job is Success",
            ),
            Red(
                "CLAIM-PUSH-09",
                f"{_FAILURES}::test_bridge_answers_before_the_pacs_gives_up",
                "the own SCU saw 0",
            ),
        ],
        ABSENT,
    ),
)
