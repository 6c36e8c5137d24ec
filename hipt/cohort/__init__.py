"""Which slides there are: the sheet or the folder, the ledger, what they share."""
