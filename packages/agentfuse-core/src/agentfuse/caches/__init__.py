"""Where answers are kept and calls are joined: all keeping ``ports.Cache`` or ``ports.Flights``."""
