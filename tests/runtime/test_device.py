"""Devices and architectures that a run can't use are refused before it begins."""

import pytest
import torch

from rh_lens.runtime import require_device

ABSENT = ["meta", "cpu:9", "", "foo", "cpu:-1", " cpu", "xla", "vulkan", "cuda:99"]


@pytest.mark.parametrize("name", ["cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu_is_there(name):
    assert require_device(name).type == "cpu"


@pytest.mark.parametrize("name", ABSENT)
def test_other_devices_are_refused_in_a_line_with_those_there_are(name):
    with pytest.raises(ValueError, match=r"Expected device to be a device .*\"cpu\"") as refused:
        require_device(name)
    message = str(refused.value)
    assert f"found {name!r}. " in message
    assert "\n" not in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", ["cuda", torch.device("cuda", 0), "mps"])
def test_an_accelerator_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match='can\'t use it here: use "cpu"'):
        require_device(name)


def test_what_meta_and_numbered_cpus_lack_is_said():
    with pytest.raises(ValueError, match="It holds no numbers"):
        require_device("meta")
    with pytest.raises(ValueError, match="There is one CPU device"):
        require_device("cpu:9")


@pytest.mark.parametrize("value", [0, None, 1.5, ["cpu"]])
def test_a_device_is_named(value):
    with pytest.raises(TypeError, match="Expected device to be a device of this machine"):
        require_device(value)
