"""Which addresses and names git is ever given."""

from __future__ import annotations

import pytest

from deployd.errors import InputError
from deployd.sources.address import check_ref, check_repository
from deployd.sources.remote import failure, scrub


@pytest.mark.parametrize(
    "address",
    [
        "/srv/git/shop.git",
        "file:///srv/git/shop",
        "https://git.example.com/acme/shop",
        "https://git.example.com:8443/acme/shop.git",
        "https://[::1]:8443/shop",
        "ssh://git@git.example.com:2222/acme/shop",
        "ssh://git.example.com/~/shop",
        "git@git.example.com:acme/shop.git",
    ],
)
def test_addresses_that_are_fetched_from(address: str) -> None:
    check_repository(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "shop",
        "../shop",
        "--upload-pack=touch /tmp/x",
        "-o",
        "ext::sh -c touch% /tmp/x",
        "git://git.example.com/shop",
        "ftp://git.example.com/shop",
        "https:/git.example.com/shop",
        "https:///shop",
        "https://git.example.com",
        "https://-x/shop",
        "ssh://-oProxyCommand=touch/shop",
        "ssh://-l@git.example.com/shop",
        "-oProxyCommand=touch@host:shop",
        "git@host:-x",
        "file://host/shop",
        "https://git.example.com:port/shop",
        "https://git.example.com/a b",
        "https://git.example.com/a\nb",
        "https://" + "a" * 3000,
    ],
)
def test_others_are_refused_with_what_to_do(address: str) -> None:
    with pytest.raises(InputError) as caught:
        check_repository(address)
    assert caught.value.remedy


def test_http_is_refused() -> None:
    with pytest.raises(InputError, match=r"http://git\.example\.com would send") as caught:
        check_repository("http://git.example.com/shop")
    assert "https://" in caught.value.remedy


@pytest.mark.parametrize(
    "address",
    [
        "https://ada:hunter2@git.example.com/shop",
        "https://hunter2@git.example.com/shop",
        "http://ada:hunter2@git.example.com/shop",
        "ssh://ada:hunter2@git.example.com/shop",
        "https://:hunter2@git.example.com/shop",
        "https://git.example.com/shop?private_token=hunter2",
        "https://git.example.com/shop#hunter2",
        "https://ada:hunter2@git.example.com:port/shop",
        "ext::https://ada:hunter2@git.example.com/shop",
    ],
)
def test_secrets_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InputError) as caught:
        check_repository(address)
    error = caught.value
    assert "hunter2" not in error.message + error.remedy + error.evidence + repr(error.__cause__)
    assert error.remedy


@pytest.mark.parametrize("ref", ["main", "v1.2", "feature/cart", "refs/heads/main", "a" * 40, "ünïcode", "@"])
def test_names_of_branches_and_tags(ref: str) -> None:
    check_ref(ref)


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-f",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a:b",
        "+a:b^",
        "a~1",
        "a*",
        "a.lock",
        "/a",
        "a/",
        "@{1}",
        ".a",
        "a.",
        "a//b",
        "a/.b",
        "a\nb",
        "a" * 256,
    ],
)
def test_what_is_no_name(ref: str) -> None:
    with pytest.raises(InputError, match="no name of a branch"):
        check_ref(ref)


def test_what_git_says_is_scrubbed() -> None:
    said = "fatal: unable to access 'https://ada:hunter2@git.example.com/': and http://tok@proxy:1/ is odd"
    assert (
        scrub(said)
        == "fatal: unable to access 'https://***@git.example.com/': and http://***@proxy:1/ is odd"
    )
    assert "hunter2" not in failure("https://git.example.com/shop", said).evidence
    assert len(scrub("x" * 9999)) == 2000


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.", "DENIED"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "DENIED"),
        ("fatal: Authentication failed for 'https://x/'", "DENIED"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "DENIED"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "DENIED"),
        ("fatal: unable to access 'https://x/': server certificate verification failed.", "DENIED"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "RETRYABLE"),
        ("ssh: connect to host x port 22: Connection refused\nfatal: Could not read from", "RETRYABLE"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 503", "RETRYABLE"),
        ("fatal: the remote end hung up unexpectedly", "RETRYABLE"),
        ("fatal: repository 'https://x/' not found", "NOT_FOUND"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "NOT_FOUND"),
        ("fatal: '/x' does not appear to be a git repository", "NOT_FOUND"),
        ("error: unable to write file: No space left on device", "TERMINAL"),
        ("fatal: transport 'http' not allowed", "INVALID_INPUT"),
        ("fatal: something new", "TERMINAL"),
    ],
)
def test_what_failures_mean(said: str, code: str) -> None:
    error = failure("https://x/", said)
    assert error.code == code
    assert error.evidence == said
    assert "https://x/" in error.message
    assert error.remedy
