"""Refusals: the reasons against an act, and how staff set them aside in writing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from circulation.models import Reader

OVERRIDE_PERMISSION = "circulation.override_block"


@dataclass(frozen=True)
class Block:
    """One reason against. A hard one holds for everybody; others may be overridden in writing."""

    code: str
    message: str
    is_overridable: bool = False


@dataclass(frozen=True)
class Overriding:
    """The blocks a member of staff has seen and sets aside, by code, and why."""

    codes: frozenset[str]
    reason: str


class RefusedError(Exception):
    """Nothing was done; `blocks` are all the reasons, in the librarian's words."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = list(blocks)
        super().__init__(" ".join(block.message for block in self.blocks))

    @property
    def is_overridable(self) -> bool:
        return all(block.is_overridable for block in self.blocks)


def refuse_unless_overridden(
    found: Sequence[Block],
    *,
    override: Overriding | None,
    by: Reader | None,
    refusal: type[RefusedError],
) -> None:
    """Raise `refusal` with all blocks unless every one is set aside by someone who may.

    A block that appeared after the librarian looked is not covered by her override.
    """
    if not found:
        return
    if override is None or not all(b.is_overridable and b.code in override.codes for b in found):
        raise refusal(found)
    if by is None or not by.has_perm(OVERRIDE_PERMISSION):
        raise refusal(
            [
                *found,
                Block("override_not_permitted", _("You may not override this. Ask a librarian.")),
            ]
        )
    if not override.reason.strip():
        raise refusal([*found, Block("reason_missing", _("Write down why you override this."))])
