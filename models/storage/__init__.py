"""Files: atomic writing, downloads, published weights and their conversion to safetensors.

`files` and `strict_json` write files, `downloads` fetches them, `convert` and `unpickle` read published weights. Import from the
modules.
"""
