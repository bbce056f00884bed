"""What runs the policy: two wirings, four call shapes, streams and settings."""
