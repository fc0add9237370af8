"""Files: `files` and `strict_json` write files, `downloads` fetches them. Import from the modules."""
