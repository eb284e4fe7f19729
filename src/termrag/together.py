"""Several collections asked as one: their stores joined, one embedder and one chat model for all; for reading alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from termrag.config import Config
from termrag.errors import LibraryMismatch, StoreUnavailable
from termrag.parts import Parts
from termrag.paths import Paths
from termrag.stores import Searchable
from termrag.stores.joined import JoinedStore


class Together(Parts):
    """Parts whose store is that of several collections; conversations are those of the default library."""

    def __init__(
        self,
        config: Config,
        paths: Paths,
        environ: Mapping[str, str],
        members: Mapping[str, tuple[Config, Paths]],
        *,
        lender: Parts | None = None,
    ) -> None:
        super().__init__(config, paths, environ, lender=lender)
        self._members = {
            name: Parts(settings, places, environ, lender=self) for name, (settings, places) in members.items()
        }
        self._joined: JoinedStore | None = None

    def searchable(self) -> Searchable:
        """The joined store. Raises StoreUnavailable if none of them has one, LibraryMismatch where one has another
        embedder than the rest."""
        with self._opening:
            if self._joined is None:
                self._joined = JoinedStore({name: self._open(name, parts) for name, parts in self._filled().items()})
            return self._joined

    def _open(self, name: str, parts: Parts) -> Searchable:
        if parts.config.models.embedding != self.config.models.embedding:
            raise LibraryMismatch(
                f"the collection {name} has another embedding model ({parts.config.models.embedding}) than the others",
                f"Ask it alone: termrag -C {name} search …",
            )
        return parts.store()

    def _filled(self) -> dict[str, Parts]:
        """The collections that hold something."""
        filled = {name: parts for name, parts in self._members.items() if parts.has_index()}
        if not filled:
            raise StoreUnavailable(f"nothing is indexed in {', '.join(self._members)}", "termrag -C NAME add PATH")
        return filled

    def has_library(self) -> bool:
        return any(parts.has_library() for parts in self._members.values())

    def content_hashes(self, document_ids: Collection[str]) -> dict[str, str]:
        return {key: value for parts in self._each() for key, value in parts.content_hashes(document_ids).items()}

    def languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(language for parts in self._each() for language in parts.languages()))

    def unembedded(self, document_ids: Collection[str]) -> Collection[str]:
        return {each for parts in self._each() for each in parts.unembedded(document_ids)}

    def notices(self) -> tuple[str, ...]:
        return tuple(f"{name}: {text}" for name, parts in self._members.items() for text in parts.notices())

    def close(self) -> None:
        for parts in self._each():
            parts.close()
        self._joined = None
        super().close()

    def _each(self) -> Sequence[Parts]:
        return list(self._members.values())
