"""The pages of a consulting practice: its inbox, its answers, and the report that it writes."""
