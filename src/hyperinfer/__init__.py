"""hyperinfer turns the machines you already have into one private AI API."""

__version__ = "0.1.0"
