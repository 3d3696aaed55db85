"""Which contexts are proposed (ROUTER-024)."""

from systems.router.dimse.planning import plan_contexts
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.uids import EXPLICIT_VR_LE, IMPLICIT_VR_LE
from tests.router_dimse.support import CT, MR

J2K = "1.2.840.10008.1.2.4.90"


def test_each_encoding_gets_its_own_context_and_the_defaults_come_along() -> None:
    (contexts,) = plan_contexts([(CT, J2K), (CT, EXPLICIT_VR_LE), (CT, J2K), (MR, IMPLICIT_VR_LE)])

    assert contexts == [
        ProposedContext(CT, (J2K,)),
        ProposedContext(CT, (EXPLICIT_VR_LE,)),
        ProposedContext(CT, (IMPLICIT_VR_LE,)),
        ProposedContext(MR, (IMPLICIT_VR_LE,)),
        ProposedContext(MR, (EXPLICIT_VR_LE,)),
    ]


def test_more_than_128_contexts_are_split_with_each_class_kept_together() -> None:
    objects = [(f"1.2.3.{number}", J2K) for number in range(100)]

    associations = plan_contexts(objects)

    assert [len(contexts) for contexts in associations] == [126, 126, 48]
    assert {c.abstract_syntax for contexts in associations for c in contexts} == {uid for uid, _ in objects}
    owners = [{c.abstract_syntax for c in contexts} for contexts in associations]
    assert not owners[0] & owners[1]
    assert not owners[1] & owners[2]
    assert plan_contexts([]) == []
