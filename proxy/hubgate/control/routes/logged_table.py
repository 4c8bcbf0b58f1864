"""The live table together with the log of its changes: both always tell of the same revision."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from hubgate.control.routes.change_log import LARGEST, ChangeLog, SeenTable
from hubgate.control.routes.live_table import PER_STEP, Difference, LiveTable
from hubgate.control.routes.rows import digest
from hubgate.errors import TableChangedError
from hubgate.model import Route, Source
from hubgate.store.base import Point
from hubgate.tasks import STRIDE, Pace


class LoggedTable:
    """Changes the live table, and numbers what it is shown as.

    A table of our own counts its changes itself. A `shared` one has histories and revisions in the
    store, the same on every replica that has the same fixed routes.
    """

    def __init__(self, shared: bool) -> None:
        self.live = LiveTable()
        self.log = ChangeLog()
        self._shared = shared
        self._history = ""

    def __repr__(self) -> str:
        return f"<LoggedTable {self.live} {self.log.revision}>"

    def begin(
        self,
        routes: Mapping[Source, dict[str, Route]],
        known: Mapping[str, float],
        point: Point,
    ) -> None:
        """Hold `routes`, by source and key, as of a point in the store; `known` is activity."""
        self.live.begin(routes, known)
        if self._shared:
            self._begin_history(*point)

    def has(self, point: Point) -> bool:
        """Return whether all changes up to this point in the store are in it."""
        return self._history == point[0] and self.log.revision.number >= point[1]

    def check(self, expected: SeenTable | None) -> None:
        """Raise TableChangedError unless the table is still as expected."""
        if expected is not None and not expected.is_current(self.log):
            raise TableChangedError(
                f'the table has changed: it is "{self.log.revision}" now; get it again'
            )

    async def make(
        self, put: Sequence[Route], delete: Sequence[str], revision: int = 0
    ) -> Difference:
        """Make a change of the API's routes, in steps that hold nobody up; no key is in both.

        It is the store's `revision`, if that is shared.
        """
        if len(put) + len(delete) <= PER_STEP:
            return self.make_small(put, delete, revision)
        keys = [*delete, *(route.key for route in put)]
        pace = Pace()
        for step in self.live.changing(Source.API, put, delete):
            if step is not None:
                difference = step
                self.note(step, keys, revision)
            await pace.turn()
        return difference

    def make_small(
        self, put: Sequence[Route], delete: Sequence[str], revision: int = 0
    ) -> Difference:
        """Make a change of a few routes, as `make` does, in one step."""
        keys = [*delete, *(route.key for route in put)]
        difference = self.live.change(Source.API, put, delete)
        self.note(difference, keys, revision)
        return difference

    async def replace(
        self, routes: Sequence[Route], known: Mapping[str, float], point: Point
    ) -> Difference:
        """Make the API's routes these, as of a point in the store; `known` is their activity."""
        there, pace = dict(self.live.of(Source.API)), Pace()
        put = []
        for number, route in enumerate(routes):
            if there.pop(route.key, None) != route:
                put.append(route)
            if not number % STRIDE:
                await pace.turn()
        before = {route.key for route in put} & self.live.activity.keys()
        difference = await self.make(put, list(there))
        self._begin_history(*point)
        fresh = (route.key for route in difference.put if route.key not in before)
        self.live.touch_all({key: known[key] for key in fresh if key in known})
        self.live.record(known)
        return difference

    def replace_file_routes(self, routes: Collection[Route]) -> Difference:
        """Replace the routes of routes.yaml."""
        difference = self.live.replace(Source.FILE, routes)
        if self._shared and (difference or difference.reshown):
            self._begin_history(self._history, self.log.revision.number)
        self.note(difference, (), 0)
        return difference

    def note(self, difference: Difference, keys: Sequence[str], revision: int) -> None:
        """Count the change, if the table is shown otherwise now, and keep it for who watches.

        In a shared table every change counts, and has its number there. If those before it are not
        all known yet, it is counted when it is read from the store in its turn.
        """
        if not self._shared:
            put = (route.key for route in difference.put)
            keys = (*put, *difference.reshown, *difference.delete)
            if keys:
                self._keep(keys, None)
        elif revision == self.log.revision.number + 1:
            self._keep(keys, revision)

    def _keep(self, keys: Sequence[str], number: int | None) -> None:
        if len(keys) > LARGEST:
            self.log.note_large(number)
            return
        if len(keys) == 1:
            route = self.live.find(keys[0])
            self.log.note(() if route is None else (route,), keys if route is None else (), number)
            return
        found = {key: self.live.find(key) for key in keys}
        put: Iterable[Route] = (route for route in found.values() if route is not None)
        self.log.note(put, (key for key, route in found.items() if route is None), number)

    def _begin_history(self, history: str, number: int) -> None:
        """Number the table as the store does; other fixed routes make it another table."""
        self._history = history
        fixed = digest(self.live.of(Source.FILE).values())
        self.log.begin(f"{history}~{fixed}" if fixed else history, number)
