"""Self-distillation (DINO): views, losses, schedules, the trainer."""
