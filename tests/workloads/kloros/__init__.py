"""The discovery monitors of kloros, which were disabled for their memory, as its audit found them."""
