"""Reward functions, the gRPC contract, server, client and composition.

Floor 2: imports `policy` (numpy-only files) and `scenes`. A reward that needs no model imports no torch,
vllm or ray.
"""
