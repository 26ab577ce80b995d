"""PhysicalAI-Autonomous-Vehicles: its layout read as clips, and miniatures of it written for tests."""

from scenes.physical_ai.errors import DatasetError, InputError
from scenes.physical_ai.index import DatasetIndex
from scenes.physical_ai.moments import ReadChoice
from scenes.physical_ai.reader import PhysicalAI
from scenes.physical_ai.report import ReadReport

__all__ = ["DatasetError", "DatasetIndex", "InputError", "PhysicalAI", "ReadChoice", "ReadReport"]
