"""One file, one widget. Widgets draw what they are given and ask for nothing."""
