"""BN, IBN-a and IBN-b on embedded scenes, trained and compared in one command."""
