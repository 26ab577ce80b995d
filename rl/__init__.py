"""The job: rollout workers, group buffer, learner, weight sync, ledger, evaluation, dashboard, commands."""
