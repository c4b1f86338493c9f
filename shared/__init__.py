"""What the five services have in common: contracts, the bus, and small doors to the outside."""
