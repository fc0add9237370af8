"""Input and output of the pipelines.

`images` reads and writes image files, `contact_sheet` and `image_grid` arrange images, `provenance` signs files with Content
Credentials by the certificate of `certificates`, `visible_label` labels images. Import from the modules.
"""
