"""Where limits and leases live: one module for each store, all keeping ``ports.Ledger``."""
