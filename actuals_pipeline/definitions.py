"""What `workspace.yaml` points at: the code location, read from the environment.

Loads with nothing running and nothing set.
"""

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.settings import Settings

defs = build_definitions(Settings.from_environment())
