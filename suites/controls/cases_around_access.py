"""The controls of `fixtures/sabotage/around_access.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import (
    NO_TOKEN,
    ROLES,
    TOKEN,
    Case,
    Red,
    case_of,
)

AROUND_ACCESS: tuple[Case, ...] = (
    case_of(
        "secret-is-not-looked-at",
        [Red("CLAIM-AUTH-01", "test_auth.py::test_no_token_without_the_secret[no secret-v2]", "200")],
        TOKEN,
    ),
    case_of(
        "cloud-without-login",
        [
            Red("CLAIM-AUTH-02", NO_TOKEN, "without any token: .*search studies"),
            Red("CLAIM-AUTH-03", f"{ROLES}[norole]", "norole: .* not 403"),
        ],
        TOKEN,
    ),
    case_of(
        "rendered-frames-left-open", [Red("CLAIM-AUTH-02", NO_TOKEN, "without any token: .*rendered")], TOKEN
    ),
    case_of(
        "reader-may-delete",
        [Red("CLAIM-AUTH-03", f"{ROLES}[reader]", "reader: .* not 403")],
        f"{ROLES}[writer]",
    ),
)
