"""The configuration: pydantic models over one TOML file."""
