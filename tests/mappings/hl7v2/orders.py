"""Orders and referrals as a site sends them, of one synthetic patient."""

_MSH = "MSH|^~\\&|EHR|HILLSIDE|SECOND-OPINION|EXCHANGE|20260601100000+0200||{kind}|C-1|P|2.5.1\r"
_PID = "PID|1||M1^^^HILL^MR||Synthetic1^Ada^^^^^L||19600101|F\r"
_ALICE = "1234567893^Alice^Ada^^^^^^NPI"
_NOTHING = "|" * 11
ORM = (
    f"{_MSH.format(kind='ORM^O01^ORM_O01')}{_PID}"
    f"ORC|NW|A-1|||||^^^^20260701^R||20260601100000+0200|||{_ALICE}\r"
    "OBR|1|A-1||2ND-OP^Second opinion^L\r"
    "NTE|1||Is surgery needed?\r"
)
OMG = ORM.replace("ORM^O01^ORM_O01", "OMG^O19^OMG_O19")
REF = (
    f"{_MSH.format(kind='REF^I12^REF_I12')}"
    "RF1||A||||R-1|20260601|||S^Second Opinion^HL70336\r"
    "PRD|RP|Alice^Ada|||||1234567893^NPI\r"
    "PRD|RT|Bob^Ben|||||\r"
    f"{_PID}"
    f"DG1|1||C18.7^Malignant neoplasm of sigmoid colon^I10C|Colon cancer|20260501{_NOTHING}{_ALICE}\r"
    "NTE|1||Is surgery needed?~Or can it wait?\r"
)


def message(text: str) -> bytes:
    """As it travels."""
    return text.encode()
