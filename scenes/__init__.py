"""Driving clips: schema, vehicle dynamics and geometry, procedural world, cameras, recorded traffic.

Floor 0 of the house: imports nothing of the project and nothing of torch, vllm or ray.
"""
