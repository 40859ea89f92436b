from lookalike.v1 import errors_pb2
from lookalike.wire import status
from lookalike.wire.errors import (
    DimensionMismatch,
    Exhausted,
    FilterInvalid,
    ImageTooLarge,
    ImageUnreadable,
    InvalidField,
    LimitExceeded,
    LookalikeError,
    NotFound,
    PageTokenInvalid,
    Reason,
    ReferenceInvalid,
    SnapshotInvalid,
    Unavailable,
    VectorNotFinite,
)


def test_reasons_are_those_of_the_contract() -> None:
    declared = {
        name.removeprefix("ERROR_REASON_"): number
        for name, number in errors_pb2.ErrorReason.items()
        if number
    }

    assert {reason.name: int(reason) for reason in Reason} == declared


def test_every_reason_has_a_code() -> None:
    for reason in Reason:
        assert status.code_of(reason).value[0] > 0


def test_an_item_error_survives_the_wire() -> None:
    examples: list[LookalikeError] = [
        DimensionMismatch.between("items[2].vector_f32_le", got=3, want=4),
        ImageTooLarge("the picture has 400 megapixels; at most 50 are read"),
        ImageUnreadable("the file is empty", field="upload.image_uri"),
        LimitExceeded("queries", "at most 64"),
        VectorNotFinite("vector_f32_le", "has NaN"),
        FilterInvalid("filter", "at 3: say what"),
        PageTokenInvalid(),
        ReferenceInvalid("there is no such file"),
        SnapshotInvalid("the checksum differs"),
        InvalidField("limit", "must be at least 1"),
        NotFound("no collection of that name", reason=Reason.COLLECTION_NOT_FOUND),
        Exhausted("the queue is full", retry_delay_s=2.0),
        Unavailable("the embedder is away", reason=Reason.EMBEDDER_UNAVAILABLE),
    ]
    for error in examples:
        back = status.from_item_error(status.to_item_error(error))
        assert (type(back), back.reason, back.field, back.message, back.retryable) == (
            type(error),
            error.reason,
            error.field,
            error.message,
            error.retryable,
        )


def test_a_reason_from_a_newer_server_is_taken_for_a_fault() -> None:
    newer = errors_pb2.ItemError(reason=errors_pb2.ErrorReason.ValueType(9999), message="new")

    assert status.from_item_error(newer).reason is Reason.INTERNAL
