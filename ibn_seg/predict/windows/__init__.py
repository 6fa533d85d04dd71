"""Labels of large pictures in bounded memory: the network sees one window after the other."""
