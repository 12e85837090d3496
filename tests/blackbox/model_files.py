"""The model that tests use, where there is one: CONTEXT_STORE_TEST_MODEL, by default build/models/all-MiniLM-L6-v2."""
import os
import pathlib

from blackbox import ROOT, Skip

NAME = "all-MiniLM-L6-v2"
DEFAULT = pathlib.Path(os.environ.get("CONTEXT_STORE_TEST_MODEL", ROOT / "build/models" / NAME))


def test_model():
    """Its directory; skips where there is none."""
    if not (DEFAULT / "model.safetensors").exists():
        raise Skip(f"no model in {DEFAULT}; CONTEXT_STORE_TEST_MODEL names one")
    return DEFAULT.resolve()
