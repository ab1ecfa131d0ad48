"""One file at the root, or one beside each service."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployd.errors import InputError, ManifestError, NotFound
from deployd.manifest import Offer, discovery, find
from deployd.model.spec import BuildSpec


def write(tree: Path, files: dict[str, str]) -> Path:
    for name, body in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"deployd: 1\n{body}")
    return tree


def problems(tree: Path, offer: Offer | None = None) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        find(tree, offer=offer)
    return caught.value.problems


def test_a_file_beside_each_service(tmp_path: Path) -> None:
    manifest = find(
        write(
            tmp_path,
            {
                "services/cart/deployd.yaml": "service: {name: cart, watch: [../../libs/**], requires: [b]}",
                "services/others/deployd.yml": "services: {b: {build: ../b}, a: {build: {dockerfile: D}}}",
                "node_modules/x/deployd.yaml": "service: {name: x}",
                "services/.venv/deployd.yaml": "service: {name: x}",
                "services/.git/deployd.yaml": "service: {name: x}",
                "deployd.yaml.d/other.yaml": "service: {name: x}",
            },
        ),
        offer=Offer("w"),
    )
    assert list(manifest.services) == ["cart", "b", "a"]
    assert manifest.services["cart"].build == BuildSpec("services/cart")
    assert manifest.services["cart"].watch == ("/libs/**",)
    assert manifest.services["b"].build == BuildSpec("services/b")
    assert manifest.services["a"].build == BuildSpec("services/others", "D")
    assert manifest.files == {
        "cart": "services/cart/deployd.yaml",
        "b": "services/others/deployd.yml",
        "a": "services/others/deployd.yml",
    }


def test_with_a_file_at_the_root_only_that_counts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"deployd.yml": "services: {a: {build: a}}", "a/deployd.yaml": "service: {name: 1, prot: 2}"},
    )
    assert list(find(tmp_path).services) == ["a"]


def test_what_differs_in_a_world_is_said_by_each_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/deployd.yaml": "service: {name: a}\nworlds: {p: {service: {scale: 2}}}",
            "b/deployd.yaml": "service: {name: b}\nworlds: {q: {service: {scale: 3}}}",
        },
    )
    scales = {name: spec.scale.max for name, spec in find(tmp_path, world="p").services.items()}
    assert scales == {"a": 2, "b": 1}


def test_all_problems_of_all_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/deployd.yaml": "service: {name: a, prot: 1}",
            "b/deployd.yaml": "service: [\n",
            "c/deployd.yaml": "service: {name: c, requires: [b, zzz]}",
            "d/deployd.yaml": "service: {name: d}",
            "d/deployd.yml": "service: {name: d}",
        },
    )
    starts = [": ".join(one.split(": ")[:2]) for one in problems(tmp_path, Offer("w"))]
    assert starts == [
        "a/deployd.yaml:2:20: service.prot",
        "b/deployd.yaml:3:1: YAML",  # so nobody can say that c requires what is not there
        "d/deployd.yml:1:1: file",
    ]


def test_services_of_other_files_are_known(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/deployd.yaml": "service: {name: a, prot: 1}",
            "c/deployd.yaml": "service: {name: c, requires: [a, zzz]}",
        },
    )
    assert [one.partition(": ")[0] for one in problems(tmp_path, Offer("w"))] == [
        "a/deployd.yaml:2:20",
        "c/deployd.yaml:2:34",
    ]


def test_one_name_in_two_files_names_both(tmp_path: Path) -> None:
    write(tmp_path, {"a/deployd.yaml": "service: {name: x}", "b/deployd.yaml": "services:\n  y: {}\n  x: {}"})
    assert problems(tmp_path) == (
        (
            "b/deployd.yaml:4:3: services.x: is a service of a/deployd.yaml:2:17 too, "
            "would have a name of its own"
        ),
    )


def test_services_of_several_files_contradict_each_other(tmp_path: Path) -> None:
    service = (
        "service: {{name: {0}, port: 1, routes: [{{host: h}}], "
        "resources: {{d: {{slug: s, params: {1}, shared: t}}}}}}"
    )
    write(tmp_path, {f"{name}/deployd.yaml": service.format(name, f"{{p: {name!r}}}") for name in ("a", "b")})
    assert problems(tmp_path) == (
        (
            "b/deployd.yaml:2:38: service.routes[0]: takes h/ by the entrypoint entrypoint, as a does "
            "(a/deployd.yaml:2:38), would be a host and path of its own"
        ),
        (
            "b/deployd.yaml:2:83: service.resources.d.params: is not what a asks for under the shared name "
            '"t" (a/deployd.yaml:2:83), would be the same in both'
        ),
    )


def test_links_are_not_followed(tmp_path: Path) -> None:
    tree = write(tmp_path / "tree", {"a/deployd.yaml": "service: {name: a}"})
    write(tmp_path / "other", {"deployd.yaml": "service: {name: b}"})
    (tree / "b").symlink_to(tmp_path / "other")
    assert list(find(tree).services) == ["a"]
    (tree / "c").mkdir()
    (tree / "c" / "deployd.yaml").symlink_to(tmp_path / "other" / "deployd.yaml")
    assert problems(tree) == ("c/deployd.yaml:1:1: file: is no file of this tree, would be a plain file",)


def test_a_folder_whose_name_is_no_text_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"a/deployd.yaml": "service: {name: a}"})
    odd = bytes(tmp_path) + b"/\xff"
    Path(odd.decode("utf-8", "surrogateescape")).mkdir()
    write(Path(odd.decode("utf-8", "surrogateescape")), {"deployd.yaml": "service: {name: b}"})
    assert list(find(tmp_path).services) == ["a"]


def test_the_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"{name}/deployd.yaml": f"service: {{name: {name}}}" for name in "abc"})
    monkeypatch.setattr(discovery, "FILES_MAXIMUM", 2)
    assert problems(tmp_path) == (
        "c/deployd.yaml:1:1: file: is one of more than 2 manifests, would be fewer",
    )
    monkeypatch.setattr(discovery, "FOLDERS_MAXIMUM", 3)
    with pytest.raises(InputError, match="has more than 3 folders") as caught:
        find(tmp_path)
    assert "at its root" in caught.value.remedy


def test_none_anywhere(tmp_path: Path) -> None:
    write(tmp_path, {".git/deployd.yaml": "service: {name: a}"})
    with pytest.raises(NotFound, match=r"^There is no deployd\.yaml in the upload"):
        find(tmp_path, "the upload")
