"""HL7 version 2: a consult report as a document message (MDM), and what its receiver answers. https://www.hl7.eu/HL7v2x/v251/"""
