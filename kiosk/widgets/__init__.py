"""One file, one widget. Widgets draw what they are given; they ask nobody."""
