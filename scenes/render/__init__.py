"""Perspective camera pictures with exact instance ids, ray-cast from a clip's road and objects."""

from scenes.render.picture import Rendered, render, visible_pixels, with_cameras

__all__ = ["Rendered", "render", "visible_pixels", "with_cameras"]
