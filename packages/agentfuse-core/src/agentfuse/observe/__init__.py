"""What is heard of a call: one frozen event per step, told to listeners that cannot disturb it."""
