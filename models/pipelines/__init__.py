"""Pipelines: photos, videos and folders through a swapper or a translator."""
