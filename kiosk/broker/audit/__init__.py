"""Reading the record: show, export, verify."""
