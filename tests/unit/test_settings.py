"""What the environment may say, and how it is told what it may not."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from deployd.errors import SettingsError
from deployd.model.retention import Retention
from deployd.settings import Settings


def test_nothing_set_means_the_defaults() -> None:
    settings = Settings.from_environment({"HOME": "/home/ada"})

    assert settings.database_url is None
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 7070, "info")
    assert settings.entrypoint_port == 7080


def test_everything_set_is_taken() -> None:
    settings = Settings.from_environment(
        {
            "DEPLOYD_HOME": "/srv/deployd",
            "DEPLOYD_DATABASE_URL": "postgresql://u:p@db/deployd",
            "DEPLOYD_HOST": "::1",
            "DEPLOYD_PORT": "0",
            "DEPLOYD_LOG_LEVEL": "DEBUG",
            "DEPLOYD_LOG_FORMAT": "JSON",
            "DEPLOYD_ENTRYPOINT_PORT": "0",
        }
    )

    assert settings == Settings(
        home=Path("/srv/deployd"),
        database_url="postgresql://u:p@db/deployd",
        host="::1",
        port=0,
        log_level="debug",
        log_format="json",
        entrypoint_port=0,
    )


def test_the_real_environment_is_read_without_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYD_PORT", "1234")

    assert Settings.from_environment().port == 1234


def test_what_is_kept() -> None:
    assert Settings.from_environment({"HOME": "/x"}).keep == Retention()
    environ = {
        "DEPLOYD_KEEP_TRANSITIONS": "30d",
        "DEPLOYD_KEEP_AUDIT": "forever",
        "DEPLOYD_KEEP_ATTEMPTS": "7",
        "DEPLOYD_KEEP_RELEASES": "5",
        "DEPLOYD_KEEP_SOURCES": "",
    }
    assert Settings.from_environment({"HOME": "/x", **environ}).keep == Retention(
        transitions=timedelta(days=30), audit=None, attempts=timedelta(days=7), releases=5
    )


NAMES = ["HOME", "DATABASE_URL", "HOST", "PORT", "LOG_LEVEL", "LOG_FORMAT", "ENTRYPOINT_PORT"]


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_counts_as_not_set(name: str) -> None:
    environ = {"HOME": "/home/ada"}

    assert Settings.from_environment({**environ, f"DEPLOYD_{name}": ""}) == Settings.from_environment(environ)


@pytest.mark.parametrize(
    ("platform", "uid", "environ", "home"),
    [
        ("linux", 0, {"HOME": "/root", "XDG_DATA_HOME": "/data"}, "/var/lib/deployd"),
        ("linux", 1000, {"HOME": "/home/ada"}, "/home/ada/.local/share/deployd"),
        ("linux", 1000, {"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "/data/deployd"),
        ("linux", 1000, {"HOME": "/home/ada", "XDG_DATA_HOME": "data"}, "/home/ada/.local/share/deployd"),
        ("darwin", 501, {"HOME": "/Users/ada"}, "/Users/ada/Library/Application Support/deployd"),
    ],
)
def test_the_home_is_where_the_platform_keeps_such_things(
    platform: str, uid: int, environ: dict[str, str], home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert Settings.from_environment(environ).home == Path(home)


def test_a_relative_home_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert Settings.from_environment({"DEPLOYD_HOME": "state"}).home == tmp_path / "state"


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("DEPLOYD_PORT", "70700", "65535"),
        ("DEPLOYD_PORT", "-1", "65535"),
        ("DEPLOYD_PORT", "http", "65535"),
        ("DEPLOYD_ENTRYPOINT_PORT", "70800", "65535"),
        ("DEPLOYD_ENTRYPOINT_PORT", "none", "0 for no local addresses"),
        ("DEPLOYD_PORT", "٣", "65535"),
        ("DEPLOYD_PORT", "tcp://10.0.0.7:7070", "65535"),
        ("DEPLOYD_HOST", "http://127.0.0.1", "0.0.0.0"),
        ("DEPLOYD_HOST", "127.0.0.1:7070", "0.0.0.0"),
        ("DEPLOYD_HOST", "my host", "0.0.0.0"),
        ("DEPLOYD_LOG_LEVEL", "loud", "debug, info, warning"),
        ("DEPLOYD_LOG_FORMAT", "xml", "text, json"),
        ("DEPLOYD_KEEP_TRANSITIONS", "6d", "from 7 on, such as 90d, or to forever"),
        ("DEPLOYD_KEEP_AUDIT", "a year", "such as 90d"),
        ("DEPLOYD_KEEP_RELEASES", "1", "from 2 on"),
    ],
)
def test_a_bad_value_is_refused_with_what_would_be_right(variable: str, value: str, right: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: value})

    assert variable in caught.value.message
    assert repr(value) in caught.value.message
    assert right in caught.value.remedy


@pytest.mark.parametrize("value", ["mysql://ada:hunter2@db/x", "ada:hunter2@db/x", "hunter2"])
def test_a_bad_database_url_is_refused_without_telling_its_password(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"DEPLOYD_DATABASE_URL": value})

    assert "DEPLOYD_DATABASE_URL" in caught.value.message
    assert "postgresql://" in caught.value.remedy
    assert "hunter2" not in f"{caught.value.message}{caught.value.remedy}{caught.value.evidence}"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("DEPLOYD_PROT", "DEPLOYD_PORT"),
        ("DEPLOYD_DATABASE", "DEPLOYD_DATABASE_URL"),
        ("DEPLOYD_LOGLEVEL", "DEPLOYD_LOG_LEVEL"),
        ("DEPLOYD_HOSTNAME", "DEPLOYD_HOST"),
        ("DEPLOYD_HOMEDIR", "DEPLOYD_HOME"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_right_one(variable: str, meant: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: "x"})

    assert variable in caught.value.message
    assert meant in caught.value.remedy


@pytest.mark.parametrize(
    "variable",
    ["DEPLOYD_TOKEN", "DEPLOYD_SERVER", "DEPLOYD_WORLD", "DEPLOYD_SERVICE", "DEPLOYD_RELEASE", "PORT"],
)
def test_variables_of_others_are_let_pass(variable: str) -> None:
    assert Settings.from_environment({"HOME": "/home/ada", variable: "x"}).port == 7070


def test_what_kubernetes_puts_into_a_pod_of_a_service_called_deployd_is_let_pass() -> None:
    environ = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "DEPLOYD_PORT": "tcp://10.0.0.7:7070",
        "DEPLOYD_PORT_7070_TCP": "tcp://10.0.0.7:7070",
        "DEPLOYD_PORT_7070_TCP_ADDR": "10.0.0.7",
        "DEPLOYD_PORT_7070_TCP_PORT": "7070",
        "DEPLOYD_PORT_7070_TCP_PROTO": "tcp",
        "DEPLOYD_SERVICE_HOST": "10.0.0.7",
        "DEPLOYD_SERVICE_PORT": "7070",
        "DEPLOYD_SERVICE_PORT_HTTP": "7070",
    }

    assert Settings.from_environment(environ).port == 7070


def test_importing_the_settings_imports_nothing_heavy() -> None:
    code = "import sys, deployd.settings; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"asyncio", "asyncpg", "difflib", "msgspec", "socket", "ssl"} & set(loaded)


def test_the_key_of_secrets_is_read_and_never_shown() -> None:
    key = bytes(range(32))
    text = base64.b64encode(key).decode()
    settings = Settings.from_environment({"DEPLOYD_SECRET_KEY": text, "HOME": "/home/ada"})
    assert settings.secret_key == key
    assert "secret_key" not in repr(settings)
    assert Settings.from_environment({"DEPLOYD_SECRET_KEY": "", "HOME": "/home/ada"}).secret_key is None


@pytest.mark.parametrize("text", ["c2hvcnQtY2FuYXJ5", "canary is no base64!", "ÄÄÄÄ"])
def test_a_key_that_is_none_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError, match="DEPLOYD_SECRET_KEY is no key") as caught:
        Settings.from_environment({"DEPLOYD_SECRET_KEY": text, "HOME": "/home/ada"})
    assert text not in caught.value.message + caught.value.remedy + caught.value.evidence
