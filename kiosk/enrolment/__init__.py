"""Client certificates of kiosks and sign-in pages: requests for them, and an authority that signs them."""
