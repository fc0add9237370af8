"""Input and output of the pipelines: image files, contact sheets and Content Credentials."""
