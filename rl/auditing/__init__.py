"""Signs that a policy earns its rewards without doing better: reward hacking, read from a run's ledger."""
