"""Lists of hashes in the forms that programs for moderation write."""

from __future__ import annotations

import io
import random

import pytest

from lookalike_client.hash_lists import HashListForm, read_hash_list, write_hash_list
from lookalike_client.types import KnownHash

A, B = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22", "0a" * 32


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{A}\n{B.upper()}\n", [KnownHash(A), KnownHash(B)]),
        (f"# known\n\n  {A}  \r\n", [KnownHash(A)]),
        (f"pdq {A}\npdq {B}\n", [KnownHash(A), KnownHash(B)]),
        (f"{A},97,dir/one, two.jpg\n", [KnownHash(A, 97, "dir/one,two.jpg")]),
        (f"{A},case 7\n", [KnownHash(A, None, "case 7")]),
        (f"{A},40\n", [KnownHash(A, 40)]),
        (f"hash={A},norm=128,delta=0,quality=82,filename=a.jpg\n", [KnownHash(A, 82, "a.jpg")]),
        (f"{A},{B},100,two.jpg\n", [KnownHash(A, 100, "two.jpg"), KnownHash(B, 100, "two.jpg")]),
        (f"hash,quality,name,label\n{A},70,n,l\n", [KnownHash(A, 70, "n", "l")]),
        (f'\ufeffName,PDQ Hash\n"a, ""b""",{A}\n', [KnownHash(A, None, 'a, "b"')]),
        (
            f"collab,signal_type,signal_str,category,tags\nx,pdq,{A},MALICIOUS,t\n",
            [KnownHash(A, None, "", "MALICIOUS")],
        ),
    ],
)
def test_each_form_is_read(text: str, wanted: list[KnownHash]) -> None:
    found = read_hash_list(io.StringIO(text))
    assert found.hashes == wanted
    assert (found.bad, found.others, found.mistakes) == (0, 0, [])


def test_other_kinds_of_signals_are_counted_and_left_out() -> None:
    text = f"signal_type,signal_str\npdq,{A}\nvideo_md5,{'0' * 32}\nurl,http://x\n"
    found = read_hash_list(io.StringIO(text))
    assert found.hashes == [KnownHash(A)]
    assert (found.others, found.bad) == (2, 0)


def test_a_line_that_is_no_hash_is_told_with_its_number() -> None:
    found = read_hash_list(io.StringIO(f"{A}\nabc\n{B},101,x\n{B}\n"))
    assert found.hashes == [KnownHash(A), KnownHash(B)]
    assert found.bad == 2
    assert found.mistakes[0].startswith("line 2: no PDQ hash of 64 hexadecimal digits")
    assert found.mistakes[1].startswith("line 3: no quality from 0 to 100")


def test_hostile_lists_are_read_to_their_end() -> None:
    random_ = random.Random(6)
    letters = f'{A},"=\n\r\t\0#hash pdqé'
    for _ in range(300):
        text = "".join(random_.choice(letters) for _ in range(400))
        found = read_hash_list(io.StringIO(text))
        assert len(found.mistakes) <= 10
        assert found.bad >= len(found.mistakes)
    huge = read_hash_list(io.StringIO('"' + "x" * 300_000 + f"\n{A}\n"))
    assert huge.bad
    long = read_hash_list(io.StringIO(f"{A},50,{'é' * 5_000}\n"))
    assert len(long.hashes[0].name.encode()) <= 512


def test_what_is_written_is_read_again() -> None:
    hashes = [KnownHash(A, 70, 'a, "b"\nc', "label", "item"), KnownHash(B, None)]
    told = {}
    for form in HashListForm:
        file = io.StringIO()
        assert write_hash_list(iter(hashes), file, form) == 2
        told[form] = file.getvalue()
    assert told[HashListForm.TEXT] == f"{A}\n{B}\n"
    assert told[HashListForm.HASHER] == f'{A},70,a, "b" c\n{B},100,\n'
    back = read_hash_list(io.StringIO(told[HashListForm.CSV], newline=""))
    assert back.hashes == [KnownHash(A, 70, 'a, "b"\nc', "label"), KnownHash(B)]
    for form in (HashListForm.TEXT, HashListForm.HASHER):
        again = read_hash_list(io.StringIO(told[form]))
        assert [each.pdq_hash for each in again.hashes] == [A, B]
