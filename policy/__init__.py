"""The AR1 model: what it sees, says and drives; codecs, vocabulary, prompt, engines, checkpoints.

Floor 1: imports `scenes` only. `completion.py` and the codecs are numpy alone, so that rewards stay light.
"""
