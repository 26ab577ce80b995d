"""What another reward, other weights or another combination would have made of a finished run."""
