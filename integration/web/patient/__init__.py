"""The patient's own page behind a private link: its door, its gate, what it shows and what the patient says on it."""
