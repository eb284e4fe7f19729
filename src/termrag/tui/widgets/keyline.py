"""One line of the keys that do something here, made from the bindings in force; what does not fit is left out whole."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static


class KeyLine(Static):
    """The last line of a screen."""

    ALLOW_SELECT = False

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.show_keys())
        self.call_after_refresh(self.show_keys)

    def on_resize(self) -> None:
        self.show_keys()

    def show_keys(self) -> None:
        """Draw the keys in force now."""
        if not self.is_attached or not self.screen.is_current:
            return
        shown: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                shown.setdefault(active.binding.action, active.binding)
        pieces, room = [], self.size.width
        for binding in sorted(shown.values(), key=lambda each: (each.id or "").startswith("app.")):
            key = self.app.get_key_display(binding)
            width = len(key) + len(binding.description) + 3
            if width > room:
                break
            room -= width
            pieces.append(
                Content.assemble((f"{key} ", "bold $footer-key-foreground"), (binding.description, "")).stylize(
                    f"@click=app.simulate_key('{binding.key.split(',')[0]}')"
                )
            )
        self.update(Content("  ").join(pieces))
