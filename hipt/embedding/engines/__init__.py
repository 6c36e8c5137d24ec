"""What computes vectors: torch, or OpenVINO on a CPU; which of them does, measured."""
