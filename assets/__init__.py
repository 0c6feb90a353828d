"""Sample photos and icons that ship with the program; read with importlib.resources."""
