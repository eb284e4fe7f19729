"""Theme files: every one loads and can be read; one that is wrong is named and costs nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from termrag.errors import ConfigError
from termrag.tui.themes import load_themes, read_theme, shipped_folder

FILES = sorted(shipped_folder().glob("*.toml"))


def contrast(one: Color, other: Color) -> float:
    """Ratio of luminances. Source: WCAG 2.2, contrast (minimum)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b)


def colour(theme: Theme, name: str, on: Color) -> Color:
    text = theme.to_color_system().generate()[name]
    if text.startswith("auto"):
        return on.get_contrast_text(0.87)
    parsed = Color.parse(text)
    return on + parsed if parsed.a < 1 else parsed


def test_there_are_themes_for_dark_and_light_rooms_and_for_high_contrast():
    themes, wrong = load_themes(Path("/nonexistent"))
    assert wrong == []
    assert len(themes) >= 6
    assert {theme.dark for theme in themes} == {True, False}
    assert {"termrag-dark", "termrag-light", "high-contrast-dark", "high-contrast-light"} <= {t.name for t in themes}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_text_of_every_role_stands_out_from_its_ground(file: Path):
    theme = read_theme(file)
    least = 7.0 if "contrast" in theme.name else 4.5
    for ground_name in ("background", "surface", "panel"):
        ground = colour(theme, ground_name, Color.parse("#000000"))
        for role in ("foreground", "text-primary", "text-secondary", "text-accent", "text-warning", "text-error"):
            assert contrast(colour(theme, role, ground), ground) >= least, f"{role} on {ground_name}"
        assert contrast(colour(theme, "footer-key-foreground", ground), ground) >= 4.5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_faint_text_can_still_be_read(file: Path):
    theme = read_theme(file)
    ground = colour(theme, "background", Color.parse("#000000"))
    faint = ground.blend(colour(theme, "foreground", ground), 0.65)
    assert contrast(faint, ground) >= 4.5


def test_a_theme_of_the_user_is_found_and_takes_the_place_of_one_that_came_along(tmp_path: Path):
    (tmp_path / "mine.toml").write_text('primary = "#123456"\n')
    (tmp_path / "termrag-dark.toml").write_text('primary = "#654321"\n')
    themes = {theme.name: theme for theme in load_themes(tmp_path)[0]}
    assert themes["mine"].primary == "#123456"
    assert themes["termrag-dark"].primary == "#654321"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('primary = "#123"\nink = "red"\n', "ink"),
        ('primary = "reddish"\n', "primary is no colour"),
        ("dark = true\n", "primary is missing"),
        ("primary = \n", "mine.toml"),
        ('primary = "red"\nvariables = "none"\n', "variables must be a table"),
        ('primary = "red"\ndark = "yes"\n', "dark"),
    ],
)
def test_a_file_that_is_no_theme_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str):
    (tmp_path / "mine.toml").write_text(text)
    themes, wrong = load_themes(tmp_path)
    assert len(themes) == len(FILES)
    assert [says in error.message for error in wrong] == [True]
    with pytest.raises(ConfigError):
        read_theme(tmp_path / "mine.toml")
