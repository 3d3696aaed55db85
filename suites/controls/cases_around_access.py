"""The controls of `fixtures/sabotage/around_access.py`: what must turn red in each world, and what must stay green."""

from suites.controls.case import (
    LOCAL_SEARCH,
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
            Red("CLAIM-AUTH-01", TOKEN, "any string for a token is answered 20"),
            Red("CLAIM-AUTH-02", NO_TOKEN, "without any token: .*search studies"),
            Red("CLAIM-AUTH-03", f"{ROLES}[norole]", "norole: .* not 403"),
            Red(
                "CLAIM-AUTH-08",
                "test_auth_clients.py::test_token_counts_in_its_own_header_only",
                "the token in X-Authorization: 20[04]",
            ),
            Red(
                "CLAIM-AUTH-10",
                "test_auth_tokens.py::test_clock_off_by_ten_minutes_fails_openly_and_loses_nothing[10]",
                "0000",
            ),
        ],
        LOCAL_SEARCH,
    ),
    case_of(
        "rendered-frames-left-open", [Red("CLAIM-AUTH-02", NO_TOKEN, "without any token: .*rendered")], TOKEN
    ),
    case_of(
        "reader-may-delete",
        [
            Red("CLAIM-AUTH-03", f"{ROLES}[reader]", "reader: .* not 403"),
            Red(
                "CLAIM-AUTH-09",
                "test_auth_people.py::test_persons_token_does_what_the_persons_role_allows[device]",
                "reader has",
            ),
        ],
        f"{ROLES}[writer]",
    ),
    case_of(
        "every-second-token-is-refused",
        [
            Red(
                "CLAIM-AUTH-04",
                "test_auth_tokens.py::test_transfers_outlive_their_tokens",
                "0124 HTTP 401|token requests in",
            )
        ],
        TOKEN,
    ),
    case_of(
        "revocation-hits-both",
        [
            Red(
                "CLAIM-AUTH-06",
                "test_auth_credentials.py::test_revoking_the_router_leaves_the_viewer_working",
                "cannot sign in",
            )
        ],
        TOKEN,
    ),
    case_of(
        "router-verifies-nobody",
        [
            Red(
                "CLAIM-AUTH-07",
                "test_auth_connections.py::test_wrong_certificate_gets_no_token",
                "trusts a certificate|was sent",
            )
        ],
        TOKEN,
    ),
    case_of(
        "series-deletes-left-open",
        [
            Red(
                "CLAIM-RECOVERY-08",
                "test_recovery_attacks.py::test_router_with_read_and_store_rights_works_and_its_secret_destroys_nothing",
                "delete series",
            )
        ],
        TOKEN,
    ),
)
