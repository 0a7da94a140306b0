"""What is proved about a network: certified accuracy, a lower bound of its robust accuracy.

In the order in which things happen: `config`, `card` and `cards` (what is asked), `certifier` (`certify`),
`recording`, `tape` and `simplified` (what a model computes), `boxes`, `affine_rules`, `curved_rules`, `intervals`,
`linear`, `program` and `radii` (proofs in an L-infinity ball), `smoothing` (votes under noise, in L2), `certificates`
(what is recorded of each image), `summary` (what is reported, with what attacks leave). The first three come without
torch.
"""

from typing import TYPE_CHECKING

from rnas.certification.card import CERTIFIERS, CertifierCard
from rnas.certification.config import CertificationConfig, CertificationSettings
from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.certification.certificates import Certificates, read_certificates
    from rnas.certification.certifier import certify
    from rnas.certification.program import Program, crown_ibp_margins, crown_margins, interval_margins, trace
    from rnas.certification.smoothing import SmoothedModel
    from rnas.certification.summary import Certification
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "program": ("Program", "crown_ibp_margins", "crown_margins", "interval_margins", "trace"),
            "certificates": ("Certificates", "read_certificates"),
            "certifier": ("certify",),
            "smoothing": ("SmoothedModel",),
            "summary": ("Certification",),
        },
    )

__all__ = [
    "CERTIFIERS",
    "Certificates",
    "Certification",
    "CertificationConfig",
    "CertificationSettings",
    "CertifierCard",
    "Program",
    "SmoothedModel",
    "certify",
    "crown_ibp_margins",
    "crown_margins",
    "interval_margins",
    "read_certificates",
    "trace",
]
