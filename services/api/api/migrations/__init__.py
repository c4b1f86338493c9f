"""The api's tables, step by step."""
