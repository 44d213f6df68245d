"""Memories, what fills them, and the bus to the outside."""
