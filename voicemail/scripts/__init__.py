"""What an owner's call says and asks, as generators over `voicemail.steps`: no clock, no I/O."""
