"""One call of the suite: file by file behind both proxies, what failed once more, the report."""

import json
import shutil
import tempfile
from pathlib import Path

from tests.jupyterhub_suite import bench, results, sandbox
from tests.jupyterhub_suite.bench import Bench, Proxy
from tests.jupyterhub_suite.plan import Plan, Variant
from tests.jupyterhub_suite.results import Row

RESULTS = bench.BUILD / "results"
TEST_LIMIT = 300  # seconds for one test; on an idle machine the longest takes 15
GRACE = 60  # seconds that pytest gets to write its report after a file's time is up


class Suite:
    """Runs what a plan says on a bench that is ready."""

    def __init__(self, plan: Plan, ready: Bench) -> None:
        self.plan = plan
        self.bench = ready

    def run(self) -> int:
        """Run all of the plan, one pytest at a time; return the exit code."""
        for proxy in self.plan.proxies:
            self.bench.require(proxy)
        if not sandbox.network():
            say("no network of its own (only root on Linux has one): ports may be taken by others")
        for variant in self.plan.variants:
            for name in self.plan.files:
                for proxy in self.plan.proxies:
                    self.run_file(variant, proxy, name)
        self.write_report()
        return 1 if any(map(self.is_bad, self.rows(self.plan.variants, self.plan.files))) else 0

    def run_file(self, variant: Variant, proxy: Proxy, name: str) -> None:
        """Run one file, then what failed in it again, as often as the plan allows.

        A retry is a run of its own: on a busy machine, tests with limits of seconds fail.
        """
        folder = folder_of(variant, proxy, name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for attempt in range(self.plan.retries + 1):
            report = folder / f"{attempt}.xml"
            in_time = self.pytest(variant, proxy, name, report)
            found = results.read(report)
            what = f"{variant.value} {name} behind {proxy.value}"
            again = ", again" if attempt else ""
            say(f"{what}{again}: {results.counts(found)}{'' if in_time else ', out of time'}")
            if not results.failed(found):
                return

    def pytest(self, variant: Variant, proxy: Proxy, name: str, report: Path) -> bool:
        """Run pytest once; return whether it ended in time."""
        with tempfile.TemporaryDirectory(prefix="hub") as scratch:
            variables = self.bench.variables(proxy) | variant.variables()
            variables |= {"TMPDIR": scratch, "XDG_STATE_HOME": scratch}
            variables["PYTHONPATH"] = str(bench.HERE / "plugins")
            tests = self.bench.tests()
            command = [
                *(str(self.bench.python), "-m", "pytest", str(tests / f"{name}.py")),
                *("-c", str(bench.HERE / "suite.ini"), "--rootdir", str(tests)),
                *("-p", "subdomain_names", "--verbose", "--tb=short", "--junit-xml", str(report)),
                *("--timeout", str(TEST_LIMIT), "--session-timeout", str(self.plan.limit)),
                *("-o", f"cache_dir={report.parent / 'cache'}", "--last-failed"),
            ]
            limit = self.plan.limit + GRACE
            return sandbox.run(command, variables, report.with_suffix(".log"), limit)

    def rows(self, variants: tuple[Variant, ...], files: tuple[str, ...]) -> list[Row]:
        """Return what is known of those files, from this call and earlier ones."""
        return [
            Row(
                f"{variant.value} {name}",
                outcomes(variant, Proxy.CHP, name),
                outcomes(variant, Proxy.HUBGATE, name),
            )
            for variant in variants
            for name in files
        ]

    def is_bad(self, row: Row) -> bool:
        """True if hubgate is behind CHP; without CHP's result, if anything failed."""
        if row.chp and row.hubgate:
            return bool(row.regressions())
        ran = row.chp or row.hubgate
        return not ran or bool(results.failed(ran))

    def write_report(self) -> None:
        """Write and print the comparison of all results there are, also of earlier calls."""
        found = sorted({path.name for path in RESULTS.glob("*/*/*") if path.is_dir()})
        rows = [row for row in self.rows(tuple(Variant), tuple(found)) if row.chp or row.hubgate]
        versions = self.bench.versions()
        lines = [f"{name} {version}" for name, version in versions.items()]
        text = "\n".join([", ".join(lines), "", *results.table(rows)])
        (RESULTS / "comparison.md").write_text(text + "\n")
        document = {
            "versions": versions,
            "regressions": {row.name: row.regressions() for row in rows if row.regressions()},
            "improvements": {row.name: row.improvements() for row in rows if row.improvements()},
        }
        (RESULTS / "comparison.json").write_text(json.dumps(document, indent=2) + "\n")
        say(text)


def folder_of(variant: Variant, proxy: Proxy, name: str) -> Path:
    return RESULTS / variant.value / proxy.value / name


def outcomes(variant: Variant, proxy: Proxy, name: str) -> results.Outcomes:
    reports = sorted(folder_of(variant, proxy, name).glob("*.xml"))
    return results.last(map(results.read, reports))


def say(line: str) -> None:
    print(line, flush=True)
