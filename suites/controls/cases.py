"""For each sabotaged world: the demo's tests that it must turn red and why, and tests beside them that must stay green.

The tests are the cheapest that look at the falsifier. What a world breaks besides is not listed; that it does not break
everything is shown by the tests it spares.
"""

from suites.controls.case import Case
from suites.controls.cases_around_access import AROUND_ACCESS
from suites.controls.cases_around_keeping import AROUND_KEEPING
from suites.controls.cases_around_pacs import AROUND_PACS
from suites.controls.cases_around_priors import AROUND_PRIORS
from suites.controls.cases_around_router import AROUND_ROUTER
from suites.controls.cases_around_service import AROUND_SERVICE
from suites.controls.cases_around_truth import AROUND_TRUTH

CASES: tuple[Case, ...] = (
    *AROUND_PACS,
    *AROUND_ROUTER,
    *AROUND_PRIORS,
    *AROUND_TRUTH,
    *AROUND_KEEPING,
    *AROUND_ACCESS,
    *AROUND_SERVICE,
)
