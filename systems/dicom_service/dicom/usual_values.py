"""How nearly all writers write a value of each VR: expressions over its bytes, within the bounds of the v2 rules."""

import re

_TIME = r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?"
DATE_TIME = (
    r"[0-9]{4}((0[0-9]|1[0-2])(([0-2][0-9]|3[01])(([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?)?)?)?"
    r"([+-][0-9]{4})?"
)
_DATE = r"[0-9]{4}(0[0-9]|1[0-2])([0-2][0-9]|3[01])"

# One value of each VR as nearly all writers write it, within the bounds of the rules below; padding is optional.
_USUAL = {
    "AE": r"(?= *[^ \\])[\x20-\x5b\x5d-\x7e]{1,16}",
    "AS": r"[0-9]{3}[DWMY]",
    "CS": r"[A-Z0-9_ ]{0,16}",
    "DA": _DATE,
    "DS": r"(?=[^\\]{1,16}(\\|\Z)) *[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *",
    "DT": DATE_TIME + " *",
    "IS": r" *[+-]?[0-9]{1,9} *",
    "LO": r"[\x20-\x5b\x5d-\x7e]{0,64}",
    "SH": r"[\x20-\x5b\x5d-\x7e]{0,16}",
    "TM": _TIME + " *",
}
USUAL_LISTS = {
    vr: re.compile(rf"{one}(\\{one})*".encode() + (rb" ?" if vr not in ("LO", "SH", "CS", "AE") else b""))
    for vr, one in _USUAL.items()
}
USUAL_LISTS["UI"] = re.compile(rb"(?=[0-9.]{1,64}\0?\Z)[1-9][0-9]*(\.(0|[1-9][0-9]*))*\0?")
USUAL_LISTS["PN"] = re.compile(
    rb"(?=[\x20-\x3c\x3e-\x5b\x5d-\x7e]{0,64}\Z)[^^]*(\^[^^]*){0,4}",
)
USUAL_LISTS["ST"] = re.compile(rb"(?s).{0,1024}")
USUAL_LISTS["LT"] = re.compile(rb"(?s).{0,10240}")
