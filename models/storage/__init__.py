"""Files: atomic writing, downloads, published formats and their conversion to safetensors. Import from the modules."""
