"""What is let go of that services left: only of those that ended, and never what runs or their own data."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from tests.integration.drivers.process.place import Place, new_service

AGE = timedelta(days=30)


def age(folder: Path) -> None:
    then = time.time() - 2 * AGE.total_seconds()
    for one in (*folder.rglob("*"), folder):
        os.utime(one, (then, then), follow_symlinks=False)


async def test_folders_of_services_that_ended(place: Place) -> None:
    driver = place.driver()
    service, folder = place.service, place.home / "7" / str(place.service.service_id)
    release = place.python("import time\ntime.sleep(600)")
    await place.apply(release)
    age(folder)
    nobody: set[UUID] = set()
    assert (await driver.clear(nobody, AGE))["folders of services"] == 0, "it runs"
    await place.destroy()
    assert (await driver.clear(nobody, AGE))["folders of services"] == 0, "it ended just now"
    age(folder)
    assert (await driver.clear({service.service_id}, AGE))["folders of services"] == 0, "it lives"
    assert (await driver.clear(nobody, AGE, dry_run=True))["folders of services"] == 1
    assert place.folder(release).is_dir()
    (folder / "home" / "kept.db").write_text("data")
    assert (await driver.clear(nobody, AGE))["folders of services"] == 1
    assert not place.folder(release).exists()
    assert (folder / "home" / "kept.db").read_text() == "data"
    age(folder)
    assert (await driver.clear(nobody, AGE))["folders of services"] == 0, "only its data is left, which stays"

    # One that kept nothing goes as a whole; it can come again all the same.
    other = place.home / "7" / str(new_service().service_id)
    (other / "home").mkdir(parents=True)
    age(other)
    assert (await driver.clear(nobody, AGE))["folders of services"] == 1
    assert not other.exists()
    await place.apply(release)
    await place.destroy()
