"""Images on their way to being matched."""

from __future__ import annotations

from collections import deque

from lookalike.v1 import bank_pb2 as pb
from lookalike.wire.errors import ImageUnreadable, LookalikeError
from lookalike.wire.status import from_item_error
from lookalike_client import convert, requests
from lookalike_client.flow import Brake
from lookalike_client.inputs import MatchItem
from lookalike_client.types import MatchResult

# Images that are held at a time: enough for the embedder's batches.
_WINDOW = 32


class MatchFlow:
    """Images for MatchImages, answered in any order."""

    def __init__(self, collection: str, options: pb.MatchOptions) -> None:
        self._collection = collection
        self._options = options
        self._brake = Brake(_WINDOW)
        self._count = 0
        self._unsent: deque[str] = deque()
        self._sent: dict[str, None] = {}
        self._held: dict[str, tuple[str, pb.MatchImagesRequest]] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is unanswered."""
        return not self._held

    @property
    def on_the_wire(self) -> bool:
        """Whether something was sent on this stream and is unanswered."""
        return bool(self._sent)

    @property
    def refusal(self) -> LookalikeError | None:
        """The last refusal that asks to try again, if nothing went through since."""
        return self._brake.refusal

    def room(self) -> bool:
        """Whether another image may be added."""
        return len(self._held) < _WINDOW

    def add(self, item: MatchItem) -> list[MatchResult]:
        """Add an image; one that cannot be read or sent fails at once."""
        try:
            request = requests.match_image(self._collection, item, self._options)
        except LookalikeError as error:
            return [MatchResult(item.key, None, error=error)]
        except OSError as error:
            unread = ImageUnreadable(f"the file cannot be read: {error.strerror or error}")
            return [MatchResult(item.key, None, error=unread)]
        self._count += 1
        request.request_id = str(self._count)
        self._held[request.request_id] = (item.key, request)
        self._unsent.append(request.request_id)
        return []

    def end_of_input(self) -> None:
        """Nothing waits for more."""

    def next_request(self, now_s: float) -> pb.MatchImagesRequest | None:
        """Return the next image, unless a pause or the window forbids."""
        if not self._unsent or now_s < self._brake.resume_at_s:
            return None
        if len(self._sent) >= self._brake.window:
            return None
        number = self._unsent.popleft()
        self._sent[number] = None
        return self._held[number][1]

    def wake_in_s(self, now_s: float) -> float | None:
        """Return the rest of a pause."""
        if self._unsent and now_s < self._brake.resume_at_s:
            return self._brake.resume_at_s - now_s
        return None

    def answered(self, response: pb.MatchImagesResponse, now_s: float) -> list[MatchResult]:
        """Read an answer; an image with a retryable error is sent again."""
        number = response.request_id
        if number not in self._sent:
            return []  # nobody asked for it
        del self._sent[number]
        key, _ = self._held[number]
        if response.WhichOneof("outcome") == "error":
            error = from_item_error(response.error)
            if error.retryable:
                self._unsent.appendleft(number)
                self._brake.overloaded(now_s, error, 0.0)
                return []
            result = MatchResult(key, None, error=error)
        else:
            result = convert.match_result(key, response.result)
        self._brake.fine()
        del self._held[number]
        return [result]

    def broken(self) -> None:
        """Send everything unanswered again, in its first order."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
