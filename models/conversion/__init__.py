"""Published weights: `convert` reads them and writes safetensors files, `unpickle` extracts tensors of pickled networks. Import
from the modules."""
