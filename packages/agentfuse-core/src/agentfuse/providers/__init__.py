"""Who answers a model's name, and how each provider is spoken to."""
