import os
import sys
import threading
import time

import pytest

from ibn_seg.predict.quiet_codecs import quiet_codecs


def say(text):
    os.write(2, f"{text}\n".encode())


def test_what_c_libraries_print_is_caught_and_python_still_speaks(capfd, monkeypatch):
    # What pytest puts in place of sys.stderr does not write to descriptor 2.
    with open(2, "w", closefd=False) as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        say("before")
        with quiet_codecs() as complaints:
            say("libpng error")
            print("ours", file=sys.stderr)
        say("after")
    assert capfd.readouterr().err.splitlines() == ["before", "ours", "after"]
    assert complaints.text == "libpng error\n"


def test_the_terminal_comes_back_after_an_error(capfd):
    stream = sys.stderr

    def fail():
        with quiet_codecs():
            say("lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    say("heard")
    assert capfd.readouterr().err == "heard\n"
    assert sys.stderr is stream


def test_threads_do_not_lose_the_terminal(capfd):
    entered, left = threading.Event(), threading.Event()

    def first():
        with quiet_codecs():
            entered.set()
            time.sleep(0.1)
        left.set()

    def second():
        entered.wait()
        with quiet_codecs():
            left.wait()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say("heard")
    assert capfd.readouterr().err == "heard\n"


def test_blocks_may_be_nested(capfd):
    with quiet_codecs() as outer:
        with quiet_codecs() as inner:
            say("inner")
        say("outer")
    assert (inner.text, outer.text) == ("inner\n", "outer\n")
    assert capfd.readouterr().err == ""


def test_a_closed_descriptor_is_no_trouble(capfd):
    saved = os.dup(2)
    os.close(2)
    try:
        with quiet_codecs() as complaints:
            pass
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    assert complaints.text == ""


def test_no_descriptor_is_left_open(capfd):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with quiet_codecs():
            pass
    assert len(os.listdir("/proc/self/fd")) == before
