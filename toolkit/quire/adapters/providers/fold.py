"""What a reply amounts to so far: each dialect folds its own events into one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from quire.adapters.providers.complaints import Complaint, read_complaint
from quire.core.ports import Answer, Piece

__all__ = ["Fold"]


@dataclass(slots=True)
class Fold(ABC):
    """A reply as far as it has arrived."""

    contents: ClassVar[str]
    """Where the dialect puts what a model said, for the error that it is missing."""

    calls_before: int = 0
    """How many calls the conversation has already; calls without an id are numbered on from there."""
    sealed_by: str = ""
    """Whose seal is on the reasoning that comes with one."""
    complaint: Complaint | None = None
    """An error that came in place of the reply, or in the middle of it."""
    done: bool = False
    """Whether the server has said that this was all."""
    heard: bool = False
    """Whether there was anything of a reply."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether the reply is complete, so that nothing is lost if the connection is."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The text that has arrived."""

    @property
    def refusal(self) -> str:
        """The words in which the model, or who guards it, declined."""
        return ""

    @property
    def failure(self) -> str:
        """What is wrong with a reply that came to its end; `""` if nothing is."""
        return ""

    def reads(self, name: str) -> bool:  # noqa: ARG002 - in most dialects events have no names
        """Whether the data of events of that name is needed."""
        return True

    def complaint_of(self, data: Any) -> Complaint:
        """Return what an error's body says."""
        return read_complaint(data)

    @abstractmethod
    def take(self, name: str, data: Any) -> list[Piece]:
        """Add one event of a stream and return the characters it brought; one of an unknown type changes nothing."""

    @abstractmethod
    def take_whole(self, data: Any) -> list[Piece]:
        """Add a reply that came whole and return its characters."""

    @abstractmethod
    def answer(self) -> Answer:
        """Return the reply."""
