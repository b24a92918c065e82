"""The parts of the play of the controllers and of the kubelet: see ../play."""
