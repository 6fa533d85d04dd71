"""Put instance norms into other libraries' networks; needs only PyTorch."""
