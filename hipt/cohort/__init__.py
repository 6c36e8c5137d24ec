"""Which slides there are: the sheet or the folder, the ledger, headers, what they share."""
