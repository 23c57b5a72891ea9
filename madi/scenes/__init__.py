"""The scene world: small rendered pictures whose every edit has a known truth. Imports no torch."""
