"""The dashboard: what a run did, down to one sample of one clip, in a browser on this machine."""
