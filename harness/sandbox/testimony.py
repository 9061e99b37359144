"""What a candidate's process was seen doing, out of the lines in the pipe that its tripwire writes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Testimony:
    """What a process was seen doing, by the end of its life; see `harness.sandbox.tripwire` for the kinds."""

    cheating: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()
    torch: tuple[str, ...] = ()

    def joined(self, other: Testimony) -> Testimony:
        """Of two processes of one candidate: each sentence once."""
        return Testimony(
            *(
                tuple(dict.fromkeys((*getattr(self, kind), *getattr(other, kind))))
                for kind in ("cheating", "suspicious", "torch")
            )
        )


def heard(lines: list[str]) -> Testimony:
    """The lines by their kind; what is no such line was written by somebody else."""
    by_kind: dict[str, list[str]] = {"cheating": [], "suspicious": [], "torch": []}
    for line in lines:
        kind, _, sentence = line.partition(" ")
        if kind in by_kind:
            by_kind[kind].append(sentence)
        elif line:
            by_kind["cheating"].append("it wrote into the pipe through which its acts are told")
    return Testimony(**{kind: tuple(dict.fromkeys(sentences)) for kind, sentences in by_kind.items()})
