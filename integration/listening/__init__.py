"""What sites send us over a wire of their own: HL7 v2 orders over MLLP."""
