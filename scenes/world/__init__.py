"""The procedural world: driving clips with cameras, an expert, and labels that are true by construction."""

from scenes.world.config import WorldConfig
from scenes.world.generator import generate
from scenes.world.situations import situations

__all__ = ["WorldConfig", "generate", "situations"]
