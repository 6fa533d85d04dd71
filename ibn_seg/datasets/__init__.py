"""Urban-scene data sets read from the raw downloads, and the label table that they share."""
