"""The controls of `fixtures/sabotage/around_pacs.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import (
    ABSENT,
    ALTERED,
    BRIDGE,
    BY_STRANGER,
    DIRECT,
    ECHOES,
    LOCAL_SEARCH,
    LOST,
    NEW_STUDY,
    PIXELS,
    PRELOAD,
    PRIOR,
    PUSH,
    SYNTAX,
    TO_BOTH,
    UID,
    Case,
    Red,
    case_of,
)

BESIDE = "test_dual_concurrent.py"

AROUND_PACS: tuple[Case, ...] = (
    case_of(
        "cloud-loses-every-second",
        [
            Red("CLAIM-DUAL-01", NEW_STUDY, LOST),
            Red("CLAIM-PUSH-01", PUSH, LOST),
            Red("CLAIM-DUAL-08", f"{BESIDE}::test_concurrent_modalities_do_not_mix", LOST),
        ],
        ABSENT,
    ),
    case_of(
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
    case_of(
        "pictures-change-on-the-way-back",
        [
            Red("CLAIM-PRIORS-03", PRIOR, ALTERED),
            Red("CLAIM-INTEGRITY-01", f"{PIXELS}[retrieval]", rf"{ALTERED}|retrieval of {UID}"),
        ],
        ABSENT,
    ),
    case_of(
        "pacs-loses-every-tenth",
        [
            Red("CLAIM-ONPREM-01", PRELOAD, LOST),
            Red("CLAIM-ROUTER-04", TO_BOTH, LOST),
            Red(
                "CLAIM-RECOVERY-07",
                "test_recovery_knowing.py::test_pacs_that_returns_gets_what_it_missed",
                LOST,
            ),
        ],
        BRIDGE,
    ),
    case_of(
        "pacs-without-login",
        [
            Red(
                "CLAIM-ONPREM-02",
                "test_onprem.py::test_pacs_without_login_gives_nothing[none]",
                "answered 200",
            )
        ],
        ABSENT,
    ),
    case_of("pacs-hides-studies", [Red("CLAIM-ONPREM-05", LOCAL_SEARCH, "C-FIND by")], ABSENT),
    case_of("pacs-answers-strangers", [Red("CLAIM-ONPREM-05", BY_STRANGER, "answered a stranger")], ABSENT),
    case_of(
        "pacs-converts-on-arrival",
        [
            Red("CLAIM-ROUTER-03", f"{SYNTAX}[jpeg-lossless]", r"1\.2\.840\.10008\.1\.2\.4\.70"),
            Red("CLAIM-INTEGRITY-01", f"{PIXELS}[retrieval]", UID),
        ],
        f"{SYNTAX}[explicit]",
    ),
    case_of(
        "modality-talks-to-the-router",
        [
            Red("CLAIM-ONPREM-04", "test_onprem.py::test_new_studies_sent_directly_stay_on_prem", UID),
            Red("CLAIM-DUAL-05", f"{BESIDE}::test_new_router_uploads_nothing_that_was_there_before", UID),
        ],
        ECHOES,
    ),
    case_of(
        "dead-router-blocks-the-pacs",
        [Red("CLAIM-DUAL-04", DIRECT, "aborted|refused|rejected|no-answer")],
        ECHOES,
    ),
    case_of(
        "one-queue-for-both",
        [Red("CLAIM-DUAL-06", "test_dual.py::test_slow_cloud_does_not_hold_up_the_pacs", "'pacs'")],
        ECHOES,
    ),
    case_of(
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
            Red(
                "CLAIM-DUAL-10",
                f"{BESIDE}::test_modality_does_not_feel_the_cloud",
                "aborted|refused|no-answer",
            ),
        ],
        ECHOES,
    ),
    case_of(
        "retrieved-instances-get-lost",
        [
            Red("CLAIM-RECOVERY-06", "test_recovery.py::test_new_pacs_is_filled_from_the_cloud", LOST),
            Red(
                "CLAIM-PRIORS-04", "test_priors_retrieving.py::test_every_patient_has_one_prior_to_fetch", UID
            ),
        ],
        ECHOES,
    ),
)
