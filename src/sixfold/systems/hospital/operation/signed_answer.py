"""A person's decision on an alarm, signed, so that every hospital can check it before it lets a model be retrained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sixfold.errors import InputError
from sixfold.files import json_text
from sixfold.systems.hospital.keys import signed_by
from sixfold.systems.hospital.monitor import Answer

__all__ = ["SignedAnswer"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class SignedAnswer(BaseModel):
    """What `person` decided for the release with this digest, on the alarm of `site` in `period`.

    signature: of a key whose permits count at the hospitals, over all the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str = Field(pattern=r"^[0-9a-f]{64}$")
    site: Text
    period: int = Field(ge=0)
    action: Literal["keep", "retrain", "withdraw"]
    person: Text
    reason: Text
    signature: str = ""

    def sign(self, key: Ed25519PrivateKey) -> SignedAnswer:
        """The answer with a signature."""
        return self.model_copy(update={"signature": key.sign(self._content()).hex()})

    def signed(self, trusted: Sequence[Ed25519PublicKey]) -> bool:
        """Whether one of these keys signed it."""
        return any(signed_by(key, self.signature, self._content()) for key in trusted)

    @property
    def answer(self) -> Answer:
        """As the monitor takes it."""
        return Answer(self.person, self.action, self.reason, self.period)

    @staticmethod
    def from_json(record: Any) -> SignedAnswer:
        """InputError for what is none."""
        try:
            return SignedAnswer.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"not an answer: {first['msg']}", field=".".join(map(str, first["loc"]))) from None

    def _content(self) -> bytes:
        return b"sixfold answer 1\n" + json_text(self.model_dump(mode="json", exclude={"signature"})).encode()
