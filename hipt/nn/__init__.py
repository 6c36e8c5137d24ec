"""Networks, losses and training loops in torch; opens no file."""
