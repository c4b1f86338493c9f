"""The tables of the api, and everything that speaks SQL to them."""
