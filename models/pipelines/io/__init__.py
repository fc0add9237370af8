"""Images and provenance on disk."""
