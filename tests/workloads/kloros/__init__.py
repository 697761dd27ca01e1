"""The discovery monitors of kloros as its audit found them: disabled, for their memory."""
