"""What leaves the house: addresses, rules, the outbox and its sender, links, bounces, webhooks."""
