"""Supervised stages: action modality, then Chain-of-Causation. Floor 4: knows no rewards and no jobs."""
