"""`python -m actuals_pipeline` is the command `actuals`."""

from actuals_pipeline.serving.cli import main

main(prog_name="actuals")
