"""What runs a network: OpenVINO, torch on CPU, torch on CUDA."""
