"""Files of other programs, in and out: QuPath, TRIDENT, CLAM, STAMP, HIPT."""
