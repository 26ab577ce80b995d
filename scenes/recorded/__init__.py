"""Recorded traffic as clips: file readers, motion fit, windows, maps. The public face is
scenes.commonroad."""
