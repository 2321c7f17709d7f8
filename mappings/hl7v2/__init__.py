"""HL7 version 2: a consult report as a document message (MDM), and what its receiver answers; a site's order, as it is read. https://www.hl7.eu/HL7v2x/v251/

The library logs what it cannot unescape, with the field: a patient's name in a log. It is told not to.
"""

import hl7.containers
import hl7.util

for _module in (hl7.containers, hl7.util):
    _module.logger.disabled = True
