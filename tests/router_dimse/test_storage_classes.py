"""The written-out list against the libraries that know the dictionary."""

from pydicom._uid_dict import UID_dictionary
from pynetdicom.presentation import AllStoragePresentationContexts

from systems.router.dimse.storage_classes import STORAGE_CLASSES


def test_list_has_every_storage_class_the_libraries_know() -> None:
    current = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    named = {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and uid.startswith("1.2.840.10008.5.1.4.1.1.")
    }
    assert current | named == STORAGE_CLASSES
