"""Routers that prefetch by other settings than the reference deployment's."""

from suites.router.settings import Variant

PREFETCHING = Variant(
    "prefetching",
    keys={
        "prefetch.on_arrival": "true",
        "prefetch.window_seconds": "3",
        "prefetch.assigning_authority": '"HOSP"',
    },
)
"""The defaults, triggered by orders and by arrivals, with a short window (ROUTER-135 to 145)."""

LIMITED = Variant(
    "prefetching-limited",
    keys={
        "prefetch.strict_name": "true",
        "prefetch.hl7.message_types": '["OMI^O23"]',
        "prefetch.priors.max_count": "2",
        "prefetch.priors.max_age_days": "7300",
        "prefetch.priors.same_modality": "true",
        "prefetch.priors.exclude_ordered": "true",
    },
)
"""Every limit on (ROUTER-138, ROUTER-139), and another message type (ROUTER-135)."""
