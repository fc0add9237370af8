"""The Python API: face swapping in photos and videos, and image translation. Import from the modules; nothing is re-exported, so
that importing one pipeline does not load the others."""
