"""The service's settings as Terraform checks them, beside the service's own table of them."""

import importlib.util
import re

import pytest
from working_copy import REPOSITORY, ROOT

TEXT = (ROOT / "variables.tf").read_text("utf-8")
BLOCK = re.search(r"  settings = {\n(.*?)\n  }", TEXT, re.DOTALL)[1]
PATTERNS = dict(re.findall(r'^ +(\w+) += "(.*?)"', BLOCK, re.MULTILINE))
RESERVED = re.search(r'reserved = "(.*)"', TEXT)[1]

spec = importlib.util.spec_from_file_location("settings", REPOSITORY / "supervisor/settings.py")
settings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(settings)
TABLE = {setting.name: setting for setting in settings.TABLE}
# Of texts only the length counts, and RE2's classes are not Python's: variables.tftest.hcl has those.
CHOICES = sorted(name for name in PATTERNS if "characters" not in TABLE[name].allowed)


def test_terraform_knows_every_setting_and_no_other():
    mine = {name for name in TABLE if not re.fullmatch(RESERVED, name)}
    assert set(PATTERNS) == mine


@pytest.mark.parametrize("name", CHOICES)
def test_what_terraform_allows_the_service_allows(name):
    allowed = TABLE[name].allowed
    numbers = re.fullmatch(r"a number from (\d+) to (\d+)", allowed)
    if numbers:
        low, high = map(int, numbers.groups())
        values = {str(number) for number in range(low, high + 1)}
    else:
        values = set(re.split(", | or ", allowed))
    tried = {str(number) for number in range(-1, 700)} | {"", "on", "off", "yes", "ON", "1s"} | values
    accepted = {value for value in tried if re.search(PATTERNS[name], value)}
    assert accepted and accepted <= values, f"{name}: {accepted - values} would stop the service"
    if not numbers:
        assert accepted == values
