"""Pipelines over files: photos, folders and lists, with progress and messages for the user."""
