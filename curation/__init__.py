"""Which clips to learn from next. Floor 4: knows nothing of the job."""
