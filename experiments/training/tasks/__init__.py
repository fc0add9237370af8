"""The parts of a training that depend on the task: samples, frozen networks, initial weights, exported files, measurement."""
