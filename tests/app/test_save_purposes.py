"""What the window offers to save."""

from app.save_purposes import offered_formats, purposes, told_size


def test_every_format_of_the_export_serves_a_purpose() -> None:
    offered = offered_formats()
    found = purposes(offered)
    assert {item.key for purpose in found for item in purpose.formats} == set(offered)
    assert "Something else" not in [purpose.title for purpose in found]


def test_unknown_formats_come_last_and_absent_ones_not_at_all() -> None:
    found = purposes(["ply", "hologram"])
    assert [purpose.title for purpose in found] == ["Other splat tools", "Something else"]
    assert [item.key for item in found[0].formats] == ["ply"]


def test_sizes_are_told_in_words() -> None:
    assert told_size(None) == ""
    assert told_size(12_345_678) == "about 12 MB"
    assert told_size(1_234_000) == "about 1.2 MB"
    assert told_size(400) == "about 1 kB"
