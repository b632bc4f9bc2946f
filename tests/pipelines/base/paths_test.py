"""Paths as people type them: the home, URLs, bytes that are not UTF-8, folders that cannot be written."""

import os
import re
from pathlib import Path

import pytest
from absl import flags

from tfpix2pix.pipelines.base import command_line, paths
from tfpix2pix.pipelines.base.errors import UsageError


def _parse(*arguments: str) -> dict[str, str]:
    flag_values = command_line.new_flags()
    for name in ("workdir", "server_url"):
        flags.DEFINE_string(name, None, "", flag_values=flag_values)
    command_line.parse_flags(flag_values, "", ["x", *arguments])
    return flag_values.flag_values_dict()


@pytest.mark.parametrize(
    "typed, path",
    [
        ("~/runs/a", "/home/me/runs/a"),
        ("~", "/home/me"),
        ("~nobody_of_this_name/a", "~nobody_of_this_name/a"),
        ("a~/b", "a~/b"),
        ("~kept/a", "~kept/a"),
        ("../é [x]*?\\/", "../é [x]*?\\/"),
        ("a:b", "a:b"),
        ("host:5000/image", "host:5000/image"),
        ("", ""),
    ],
)
def test_a_flag_holds_the_path_that_was_meant(tmp_path, monkeypatch, typed, path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~kept").mkdir()
    assert _parse(f"--workdir={typed}")["workdir"] == path


def test_a_folder_that_an_older_version_has_made_of_the_home_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~/runs/a").mkdir(parents=True)
    assert _parse("--workdir=~/runs/a")["workdir"] == "~/runs/a"


@pytest.mark.parametrize("url", ["gs://bucket/run", "s3://b", "https://x.org/a", "file:///a", "hdfs://h:1/a"])
def test_a_url_is_refused_where_a_path_is_expected(url):
    with pytest.raises(UsageError, match=f"`workdir={url}` is a URL, and paths must be of this machine"):
        _parse(f"--workdir={url}")
    with pytest.raises(UsageError, match="`output=.*` is a URL"):
        paths.check_writable(Path(url), "output")
    assert _parse(f"--server_url={url}")["server_url"] == url


def test_a_path_that_is_not_utf_8_is_refused():
    with pytest.raises(UsageError, match=re.escape(r"`workdir=caf\xe9` is not valid UTF-8")):
        _parse("--workdir=" + os.fsdecode(b"caf\xe9"))


def test_what_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "gone").symlink_to("nothing")
    for name in ("circle", "circle/a", "gone", "gone/a", "a" * 256):
        with pytest.raises(UsageError, match="`output=.*` cannot be written"):
            paths.check_writable(tmp_path / name, "output")


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir(mode=0o555)
    monkeypatch.chdir(tmp_path / "kept")
    child = os.fork()
    if not child:  # root may write everywhere, so that the child becomes somebody else
        status = 1
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            paths.check_writable(Path("new/a"), "output")
        except UsageError as error:
            status = 0 if str(error) == "`output=new/a` cannot be written: you may not write to ." else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("name", ["plain", "a b", "é", "{a,b}", "~", "a:b"])
def test_a_plain_folder_stays_as_it_is(tmp_path, name):
    with paths.plain_folder(tmp_path / name) as plain:
        assert plain == tmp_path / name


@pytest.mark.parametrize("place", ["plain", "t[x]"])
@pytest.mark.parametrize("name", ["[x]", "[", "a*", "a?", "a\\b", os.fsdecode(b"\xe9")])
def test_another_folder_gets_a_plain_name_for_a_while(tmp_path, monkeypatch, place, name):
    (tmp_path / place).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / place))
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    with paths.plain_folder(Path(name)) as plain:
        assert re.fullmatch(r"[\w/.-]+", str(plain), re.ASCII) and plain.samefile(tmp_path / name)
    assert not plain.is_symlink() and list((tmp_path / place).iterdir()) == []


@pytest.mark.parametrize("name", ["a", "a/b.c/..d", "a b/ü", "..."])
def test_names_of_others_that_stay_in_their_folder(name):
    assert paths.is_inner_name(name)


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", ".", "a/./b", "..", "../a", "a/..", "a/../../b", "a\0"]
)
def test_names_of_others_that_lead_elsewhere(name):
    assert not paths.is_inner_name(name)
