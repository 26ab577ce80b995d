"""The gRPC contract (`reward.proto`) and the codecs between its messages and our dataclasses."""
