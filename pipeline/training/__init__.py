"""Fine-tuning: documents -> rows -> adapter -> server. Nothing here is imported where questions are answered."""
