"""The full-screen UI, drawn with Textual."""
