from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[DType]
    BOOL: _ClassVar[DType]
    UINT8: _ClassVar[DType]
    INT32: _ClassVar[DType]
    INT64: _ClassVar[DType]
    FLOAT32: _ClassVar[DType]
    FLOAT64: _ClassVar[DType]

class Need(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NEED_UNSPECIFIED: _ClassVar[Need]
    TEXT: _ClassVar[Need]
    TRAJECTORY: _ClassVar[Need]
    AGENTS: _ClassVar[Need]
    MAP: _ClassVar[Need]
    IMAGES: _ClassVar[Need]
    LABEL: _ClassVar[Need]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    PER_ROLLOUT: _ClassVar[Mode]
    PER_GROUP: _ClassVar[Mode]

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[Status]
    OK: _ClassVar[Status]
    INFRASTRUCTURE: _ClassVar[Status]
    DATA: _ClassVar[Status]
    REWARD_BUG: _ClassVar[Status]
    DEADLINE: _ClassVar[Status]
    REFUSED: _ClassVar[Status]
    UNKNOWN_CLIP: _ClassVar[Status]
DTYPE_UNSPECIFIED: DType
BOOL: DType
UINT8: DType
INT32: DType
INT64: DType
FLOAT32: DType
FLOAT64: DType
NEED_UNSPECIFIED: Need
TEXT: Need
TRAJECTORY: Need
AGENTS: Need
MAP: Need
IMAGES: Need
LABEL: Need
MODE_UNSPECIFIED: Mode
PER_ROLLOUT: Mode
PER_GROUP: Mode
STATUS_UNSPECIFIED: Status
OK: Status
INFRASTRUCTURE: Status
DATA: Status
REWARD_BUG: Status
DEADLINE: Status
REFUSED: Status
UNKNOWN_CLIP: Status

class Array(_message.Message):
    __slots__ = ("dtype", "shape", "data")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    dtype: DType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, dtype: _Optional[_Union[DType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("protocol", "instance", "rewards")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    instance: str
    rewards: _containers.RepeatedCompositeFieldContainer[Description]
    def __init__(self, protocol: _Optional[int] = ..., instance: _Optional[str] = ..., rewards: _Optional[_Iterable[_Union[Description, _Mapping]]] = ...) -> None: ...

class Description(_message.Message):
    __slots__ = ("name", "version", "low", "high", "components", "needs", "max_batch", "mode", "doc")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DOC_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    low: float
    high: float
    components: _containers.RepeatedCompositeFieldContainer[Component]
    needs: _containers.RepeatedScalarFieldContainer[Need]
    max_batch: int
    mode: Mode
    doc: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., components: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., needs: _Optional[_Iterable[_Union[Need, str]]] = ..., max_batch: _Optional[int] = ..., mode: _Optional[_Union[Mode, str]] = ..., doc: _Optional[str] = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("name", "low", "high", "doc")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    DOC_FIELD_NUMBER: _ClassVar[int]
    name: str
    low: float
    high: float
    doc: str
    def __init__(self, name: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., doc: _Optional[str] = ...) -> None: ...

class PutClipsRequest(_message.Message):
    __slots__ = ("clips",)
    CLIPS_FIELD_NUMBER: _ClassVar[int]
    clips: _containers.RepeatedCompositeFieldContainer[Clip]
    def __init__(self, clips: _Optional[_Iterable[_Union[Clip, _Mapping]]] = ...) -> None: ...

class PutClipsResponse(_message.Message):
    __slots__ = ("results", "instance")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ItemStatus]
    instance: str
    def __init__(self, results: _Optional[_Iterable[_Union[ItemStatus, _Mapping]]] = ..., instance: _Optional[str] = ...) -> None: ...

class ItemStatus(_message.Message):
    __slots__ = ("status", "explanation")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    status: Status
    explanation: str
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., explanation: _Optional[str] = ...) -> None: ...

class Clip(_message.Message):
    __slots__ = ("clip_id", "source", "t0", "ego_history", "ego_future", "actions", "ego_size", "agents", "road", "signals", "label", "cameras")
    CLIP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    T0_FIELD_NUMBER: _ClassVar[int]
    EGO_HISTORY_FIELD_NUMBER: _ClassVar[int]
    EGO_FUTURE_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    EGO_SIZE_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    ROAD_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    clip_id: str
    source: str
    t0: float
    ego_history: Array
    ego_future: Array
    actions: Array
    ego_size: _containers.RepeatedScalarFieldContainer[float]
    agents: Agents
    road: RoadMap
    signals: Signals
    label: Label
    cameras: Cameras
    def __init__(self, clip_id: _Optional[str] = ..., source: _Optional[str] = ..., t0: _Optional[float] = ..., ego_history: _Optional[_Union[Array, _Mapping]] = ..., ego_future: _Optional[_Union[Array, _Mapping]] = ..., actions: _Optional[_Union[Array, _Mapping]] = ..., ego_size: _Optional[_Iterable[float]] = ..., agents: _Optional[_Union[Agents, _Mapping]] = ..., road: _Optional[_Union[RoadMap, _Mapping]] = ..., signals: _Optional[_Union[Signals, _Mapping]] = ..., label: _Optional[_Union[Label, _Mapping]] = ..., cameras: _Optional[_Union[Cameras, _Mapping]] = ...) -> None: ...

class Agents(_message.Message):
    __slots__ = ("ids", "classes", "sizes", "poses", "valid")
    IDS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    POSES_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[str]
    sizes: Array
    poses: Array
    valid: Array
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[str]] = ..., sizes: _Optional[_Union[Array, _Mapping]] = ..., poses: _Optional[_Union[Array, _Mapping]] = ..., valid: _Optional[_Union[Array, _Mapping]] = ...) -> None: ...

class RoadMap(_message.Message):
    __slots__ = ("lanes", "lane_widths", "boundaries", "boundary_kinds", "drivable", "crosswalks", "stop_lines", "signs")
    LANES_FIELD_NUMBER: _ClassVar[int]
    LANE_WIDTHS_FIELD_NUMBER: _ClassVar[int]
    BOUNDARIES_FIELD_NUMBER: _ClassVar[int]
    BOUNDARY_KINDS_FIELD_NUMBER: _ClassVar[int]
    DRIVABLE_FIELD_NUMBER: _ClassVar[int]
    CROSSWALKS_FIELD_NUMBER: _ClassVar[int]
    STOP_LINES_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FIELD_NUMBER: _ClassVar[int]
    lanes: _containers.RepeatedCompositeFieldContainer[Array]
    lane_widths: _containers.RepeatedScalarFieldContainer[float]
    boundaries: _containers.RepeatedCompositeFieldContainer[Array]
    boundary_kinds: _containers.RepeatedScalarFieldContainer[str]
    drivable: _containers.RepeatedCompositeFieldContainer[Array]
    crosswalks: _containers.RepeatedCompositeFieldContainer[Array]
    stop_lines: _containers.RepeatedCompositeFieldContainer[Array]
    signs: _containers.RepeatedCompositeFieldContainer[Sign]
    def __init__(self, lanes: _Optional[_Iterable[_Union[Array, _Mapping]]] = ..., lane_widths: _Optional[_Iterable[float]] = ..., boundaries: _Optional[_Iterable[_Union[Array, _Mapping]]] = ..., boundary_kinds: _Optional[_Iterable[str]] = ..., drivable: _Optional[_Iterable[_Union[Array, _Mapping]]] = ..., crosswalks: _Optional[_Iterable[_Union[Array, _Mapping]]] = ..., stop_lines: _Optional[_Iterable[_Union[Array, _Mapping]]] = ..., signs: _Optional[_Iterable[_Union[Sign, _Mapping]]] = ...) -> None: ...

class Sign(_message.Message):
    __slots__ = ("id", "kind", "x", "y", "yaw")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    YAW_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    x: float
    y: float
    yaw: float
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., yaw: _Optional[float] = ...) -> None: ...

class Signals(_message.Message):
    __slots__ = ("ids", "positions", "yaws", "states")
    IDS_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    YAWS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    positions: Array
    yaws: Array
    states: Array
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., positions: _Optional[_Union[Array, _Mapping]] = ..., yaws: _Optional[_Union[Array, _Mapping]] = ..., states: _Optional[_Union[Array, _Mapping]] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("text", "longitudinal", "lateral", "direction", "factors")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LONGITUDINAL_FIELD_NUMBER: _ClassVar[int]
    LATERAL_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    text: str
    longitudinal: str
    lateral: str
    direction: str
    factors: _containers.RepeatedCompositeFieldContainer[CausalFactor]
    def __init__(self, text: _Optional[str] = ..., longitudinal: _Optional[str] = ..., lateral: _Optional[str] = ..., direction: _Optional[str] = ..., factors: _Optional[_Iterable[_Union[CausalFactor, _Mapping]]] = ...) -> None: ...

class CausalFactor(_message.Message):
    __slots__ = ("kind", "instance", "camera", "frame", "pixels")
    KIND_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    instance: str
    camera: str
    frame: int
    pixels: int
    def __init__(self, kind: _Optional[str] = ..., instance: _Optional[str] = ..., camera: _Optional[str] = ..., frame: _Optional[int] = ..., pixels: _Optional[int] = ...) -> None: ...

class Cameras(_message.Message):
    __slots__ = ("names", "frames", "times")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    frames: Array
    times: Array
    def __init__(self, names: _Optional[_Iterable[str]] = ..., frames: _Optional[_Union[Array, _Mapping]] = ..., times: _Optional[_Union[Array, _Mapping]] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("reward", "rollouts", "job")
    REWARD_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    reward: str
    rollouts: _containers.RepeatedCompositeFieldContainer[Rollout]
    job: str
    def __init__(self, reward: _Optional[str] = ..., rollouts: _Optional[_Iterable[_Union[Rollout, _Mapping]]] = ..., job: _Optional[str] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("rollout_id", "group_id", "clip_id", "text", "valid", "reason", "actions", "states", "tokens", "policy_version")
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    CLIP_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    rollout_id: str
    group_id: str
    clip_id: str
    text: str
    valid: bool
    reason: str
    actions: Array
    states: Array
    tokens: int
    policy_version: int
    def __init__(self, rollout_id: _Optional[str] = ..., group_id: _Optional[str] = ..., clip_id: _Optional[str] = ..., text: _Optional[str] = ..., valid: _Optional[bool] = ..., reason: _Optional[str] = ..., actions: _Optional[_Union[Array, _Mapping]] = ..., states: _Optional[_Union[Array, _Mapping]] = ..., tokens: _Optional[int] = ..., policy_version: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("rollout_id", "status", "value", "components", "explanation", "latency_s", "cached")
    class ComponentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    LATENCY_S_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    rollout_id: str
    status: Status
    value: float
    components: _containers.ScalarMap[str, float]
    explanation: str
    latency_s: float
    cached: bool
    def __init__(self, rollout_id: _Optional[str] = ..., status: _Optional[_Union[Status, str]] = ..., value: _Optional[float] = ..., components: _Optional[_Mapping[str, float]] = ..., explanation: _Optional[str] = ..., latency_s: _Optional[float] = ..., cached: _Optional[bool] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("reward", "version", "instance", "results")
    REWARD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    reward: str
    version: str
    instance: str
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, reward: _Optional[str] = ..., version: _Optional[str] = ..., instance: _Optional[str] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...
