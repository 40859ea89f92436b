"""From mutations to a commit that is durable and visible."""
