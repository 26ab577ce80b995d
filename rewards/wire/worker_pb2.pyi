from rewards.wire import reward_pb2 as _reward_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerRequest(_message.Message):
    __slots__ = ("reward", "rollouts", "job", "put", "drop", "one_by_one", "number")
    REWARD_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    ONE_BY_ONE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    reward: str
    rollouts: _containers.RepeatedCompositeFieldContainer[_reward_pb2.Rollout]
    job: str
    put: _containers.RepeatedCompositeFieldContainer[_reward_pb2.Clip]
    drop: _containers.RepeatedScalarFieldContainer[str]
    one_by_one: bool
    number: int
    def __init__(self, reward: _Optional[str] = ..., rollouts: _Optional[_Iterable[_Union[_reward_pb2.Rollout, _Mapping]]] = ..., job: _Optional[str] = ..., put: _Optional[_Iterable[_Union[_reward_pb2.Clip, _Mapping]]] = ..., drop: _Optional[_Iterable[str]] = ..., one_by_one: _Optional[bool] = ..., number: _Optional[int] = ...) -> None: ...

class WorkerReply(_message.Message):
    __slots__ = ("description", "failure", "results", "statuses", "number")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    description: _reward_pb2.Description
    failure: str
    results: _containers.RepeatedScalarFieldContainer[bytes]
    statuses: bytes
    number: int
    def __init__(self, description: _Optional[_Union[_reward_pb2.Description, _Mapping]] = ..., failure: _Optional[str] = ..., results: _Optional[_Iterable[bytes]] = ..., statuses: _Optional[bytes] = ..., number: _Optional[int] = ...) -> None: ...
