"""On-prem: the PACS shows its images, frame by frame, as the modality sent them (CLAIM-ONPREM-03)."""

from pydicom.uid import UID

from fixtures.data import Instance, Study
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.showing import stored_frames, unpadded
from suites.demo.previews import KINDS, OTHER, OWN, Picture, brightness, likeness, reference


def _listed(world: World, study: Study) -> tuple[str, Instance]:
    """The PACS's own id of the study's one instance, and the instance."""
    study_id = world.pacs.lookup_study(study.study_instance_uid)
    assert study_id is not None, f"the PACS lacks {study}"
    (row,) = world.pacs.study_instances(study_id)
    (instance,) = study.instances
    assert row["MainDicomTags"]["SOPInstanceUID"] == instance.sop_instance_uid
    return row["ID"], instance


def _kinds(world: World) -> list[Study]:
    """One instance of each kind, in the PACS."""
    studies = [
        world.series(
            instances=1, modality=kind.modality, transfer_syntax=kind.transfer_syntax, frames=kind.frames
        )
        for kind in KINDS
    ]
    world.arrange_all(studies, "pacs")
    return studies


@requirement("CLAIM-ONPREM-03")
@needs("pacs-rest")
def test_every_frame_is_delivered_as_it_was_sent(world: World) -> None:
    """The PACS gives out each frame under its own number with the bytes that were sent, and none beyond the last.

    CLAIM-ONPREM-03.
    """
    given = 0
    for study in _kinds(world):
        listed, instance = _listed(world, study)
        frames = list(stored_frames(instance))
        for number, frame in enumerate(frames, start=1):
            answer = world.pacs.frame_raw(listed, number)
            assert answer.status == 200, f"frame {number} of {instance.description}: {answer.describe()}"
            assert unpadded(answer.body) == unpadded(frame), (
                f"frame {number} of {instance.description} is not what was sent"
            )
        beyond = world.pacs.frame_raw(listed, len(frames) + 1)
        assert beyond.status >= 400, f"{instance.description}: there is no frame {len(frames) + 1}"
        given += len(frames)
    world.evidence.note(f"{given} frames of {len(KINDS)} kinds of images were given out byte for byte.")


@requirement("CLAIM-ONPREM-03")
@needs("pacs-rest")
def test_previews_show_their_own_frame(world: World) -> None:
    """Each preview shows the pattern of its own frame, upright, and no other's; what cannot be drawn is an error.

    CLAIM-ONPREM-03: the pattern of every frame tells its number, its orientation and its series.
    """
    drawn: list[str] = []
    refused: list[str] = []
    for kind, study in zip(KINDS, _kinds(world), strict=True):
        listed, instance = _listed(world, study)
        frames = reference(instance)
        name = f"{kind.modality} in {UID(kind.transfer_syntax).name}"
        for number in range(1, len(frames) + 1):
            answer = world.pacs.frame_preview(listed, number)
            if answer.status != 200:
                assert answer.status >= 400, f"{name}: {answer.describe()}"
                assert not kind.always, f"{name} is not drawn: {answer.describe()}"
                refused.append(name)
                continue
            _shows(brightness(answer.body), frames, number, f"frame {number} of {name}")
            drawn.append(name)
    assert not set(drawn) & set(refused), "some frames of an object are drawn and others are not"
    left = "; ".join(dict.fromkeys(refused))
    world.evidence.note(
        f"{len(drawn)} previews show their own frame and no other one. Not drawn by this PACS, with an error: {left or 'none'}."
    )


def _shows(picture: Picture, frames: list[Picture], number: int, name: str) -> None:
    own = frames[number - 1]
    assert picture.shape == own.shape, f"{name}: {picture.shape} rows and columns instead of {own.shape}"
    assert likeness(picture, own) >= OWN, f"{name} looks like its own by {likeness(picture, own):.2f} only"
    others = [likeness(picture, each) for each in frames if each is not own]
    assert all(value < OTHER for value in others), f"{name} looks like another frame: {max(others):.2f}"
