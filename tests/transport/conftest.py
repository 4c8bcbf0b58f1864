"""The loops on which connections are tested: the same as the data plane's."""

from tests.dataplane.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
