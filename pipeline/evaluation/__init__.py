"""Cases x arms x metrics -> a report. `promptai evaluate` runs it; docs/evaluation.md says how to read it."""
