"""The event engine: from spike words to currents."""
