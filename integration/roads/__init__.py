"""Roads: one file for each way in which a document gets into a system. The ledger and the retry table know only `road.Road`."""
