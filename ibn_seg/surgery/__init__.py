"""Instance norms into networks that others wrote; PyTorch alone, whatever library they are from."""
