"""How good scenes are: what `handful benchmark --images` and `handful evaluate` measure. Nothing here makes scenes."""
