"""Many recordings, watched once, kept as a table of tubes that can be searched: `amtnet archive`, `amtnet find`."""
