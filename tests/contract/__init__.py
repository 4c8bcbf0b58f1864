"""The contract of configurable-http-proxy (CHP) as a black-box suite that takes any proxy command.

`CONTRACT_COMMAND` is the command (absolute paths, shell quoting), by default the drop-in command
beside the Python that runs the tests. With `CONTRACT_REFERENCE=1` the command is the real CHP:
tests marked `better` are then expected to fail, and all others have to pass.
"""
