"""What tests of CHP's options need, as tests of its command line do."""

from tests.cli.conftest import _logging_as_before, _no_settings_from_outside, drop, files

__all__ = ["_logging_as_before", "_no_settings_from_outside", "drop", "files"]
