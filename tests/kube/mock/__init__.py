"""The parts of the mock of a Kubernetes API server: see ../apiserver."""
