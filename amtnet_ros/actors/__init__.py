"""What each person does, told by a network that looks at one person at a time."""
