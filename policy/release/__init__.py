"""Released checkpoints as files: names, shapes, shards, tokenizer and sidecars of NVIDIA's Alpamayo layouts."""
