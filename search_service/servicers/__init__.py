"""gRPC servicers: they translate and delegate, nothing else."""
