"""The traits of `c.HubgateProxy`: one for every setting that a hub's operator has a use for."""

import json
from collections.abc import Mapping
from typing import Any

from traitlets import HasTraits, TraitError, TraitType

from hubgate.errors import ConfigError
from hubgate.settings.chp.hub_settings import TRAITS, check_value
from hubgate.settings.setting import Flag, Setting


class _Unset:
    """Stands for a value that nobody has given; None is one that may be given."""

    def __repr__(self) -> str:
        return "not set"


UNSET = _Unset()


class SettingTrait(TraitType[Any, Any]):
    """A setting with the values it has in routes.yaml."""

    def __init__(self, name: str, setting: Setting) -> None:
        super().__init__(UNSET, help=_help(setting))
        self.tag(config=True)
        self._setting_name = name

    def validate(self, _: HasTraits | None, value: Any) -> Any:
        """Return the value. Raises TraitError, with one line for a person."""
        if value is UNSET or (value == "" and self._setting_name == "access_log"):
            return UNSET
        try:
            check_value(self._setting_name, value)
        except ConfigError as error:
            raise TraitError(str(error)) from None
        return value

    def from_string(self, text: str) -> Any:
        """Return the value that a command line has: JSON, or else the text as it is."""
        try:
            return json.loads(text)
        except ValueError:
            return text


def setting_traits() -> dict[str, SettingTrait]:
    """Return every trait by its name, for the body of a class."""
    return {name: SettingTrait(name, setting) for name, setting in TRAITS.items()}


def given_settings(proxy: HasTraits) -> Mapping[str, object]:
    """Return the values that somebody has given, by their traits' names."""
    values = {name: getattr(proxy, name) for name in TRAITS}
    return {name: value for name, value in values.items() if value is not UNSET}


def _help(setting: Setting) -> str:
    what = f"{setting.given.help} " if isinstance(setting.given, Flag) else ""
    return f"{what}The same as `{setting.key}` in routes.yaml, with the same values."
