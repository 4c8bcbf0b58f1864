"""`proxyctl add`: what is wrong with its arguments is said before anybody is asked."""

import pytest

from tests.cli.running import PROXYCTL, TOKEN, run

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"x": NaN}', "is not JSON: NaN is not JSON"),
        (f'{{"x": {"1" * 5000}}}', f"is not JSON: {'1' * 40}... has more than 4300 digits"),
        ("[]", 'is not an object; write {"key": "value"}'),
    ],
)
def test_data_has_to_be_what_the_api_takes(data: str, said: str) -> None:
    env = {**TOKEN, "HUBGATE_API_URL": "http://127.0.0.1:1"}
    done = run(PROXYCTL, "add", "/a", "http://127.0.0.1:9", "--data", data, env=env)
    assert done.returncode == 2
    assert done.stderr.endswith(f"--data: {said}\n")
    assert done.stderr.count("\n") == 1
