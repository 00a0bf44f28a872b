"""`make stack`: the backends, the shipped configurations and a demo's traffic, on one machine."""
