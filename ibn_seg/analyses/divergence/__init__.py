"""How far apart two domains are in each layer of a network."""
