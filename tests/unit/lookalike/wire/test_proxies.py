"""What a proxy in the environment has to do with our calls: nothing, unless asked."""

import pytest

from lookalike.wire import proxies
from lookalike.wire.channel import ChannelOptions, channel_arguments
from lookalike.wire.errors import DeadlineExceeded, NotFound, Reason, Unavailable

AWAY = Unavailable("cannot be reached", reason=Reason.NOT_READY)
PROXY = {"https_proxy": "http://proxy.example:3128", "http_proxy": "http://other.example:3128"}


def uses_proxy(target: str, options: ChannelOptions) -> int | str:
    return dict(channel_arguments(target, options))["grpc.enable_http_proxy"]


@pytest.mark.parametrize("target", ["127.0.0.1:50051", "search.lookalike.svc:50051"])
def test_no_channel_uses_a_proxy_by_itself(target: str) -> None:
    assert uses_proxy(target, ChannelOptions()) == 0


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:1",
        "127.3.2.1:1",
        "[::1]:1",
        "localhost:1",
        "LOCALHOST:1",
        "dns:///localhost:1",
        "a.localhost:1",
        "0.0.0.0:1",
        "unix:/run/lookalike.sock",
    ],
)
def test_this_machine_is_never_reached_through_a_proxy(target: str) -> None:
    assert proxies.is_local(target)
    assert uses_proxy(target, ChannelOptions(use_proxy=True)) == 0


@pytest.mark.parametrize("target", ["search.example:443", "10.0.0.7:1", "[2001:db8::1]:1"])
def test_others_are_reached_through_one_when_that_is_asked_for(target: str) -> None:
    assert not proxies.is_local(target)
    assert uses_proxy(target, ChannelOptions(use_proxy=True)) == 1


def test_the_variable_is_the_one_that_the_library_looks_at_first() -> None:
    assert proxies.variable({}) is None
    assert proxies.variable({"http_proxy": ""}) is None
    assert proxies.variable(PROXY) == "https_proxy"
    assert proxies.variable({**PROXY, "grpc_proxy": "http://a:1"}) == "grpc_proxy"


SEARCH = "search.example:443"
UPPER = {"HTTPS_PROXY": "http://proxy.example:3128"}


@pytest.mark.parametrize(
    ("environ", "use_proxy", "said"),
    [
        (PROXY, True, "https_proxy is set, so the call went through that proxy"),
        (PROXY, False, "https_proxy is set and was not used: set LOOKALIKE_USE_PROXY=1"),
        ({"http_proxy": "http://a:1"}, True, "http_proxy is set, so"),
        ({**PROXY, "grpc_proxy": "http://a:1"}, True, "grpc_proxy is set, so"),
        (UPPER, True, "HTTPS_PROXY is set, but gRPC reads the lower-case name only: set https_"),
        (UPPER, False, "HTTPS_PROXY is set and was not used"),
        ({}, True, "none of grpc_proxy, https_proxy, http_proxy names a proxy"),
        ({"http_proxy": "a.example:3128"}, True, "http_proxy was not used, for gRPC needs"),
        ({"https_proxy": "socks5://a:1"}, True, "https_proxy was not used, for gRPC needs"),
        ({**PROXY, "no_proxy": "a, .EXAMPLE"}, True, "but no_proxy exempts this service"),
        ({**PROXY, "no_proxy": "other.example"}, True, "so the call went through"),
        ({**PROXY, "NO_PROXY": ".example"}, True, "so the call went through"),
        ({**PROXY, "no_grpc_proxy": ".example"}, True, "but no_grpc_proxy exempts"),
        ({**PROXY, "no_grpc_proxy": "x", "no_proxy": ".example"}, True, "so the call went"),
    ],
)
def test_the_remark_names_the_variable_that_counted(
    environ: dict[str, str], use_proxy: bool, said: str
) -> None:
    remark = proxies.remark(SEARCH, environ, use_proxy=use_proxy)

    assert remark is not None
    assert said in remark


def test_a_network_can_be_exempted() -> None:
    environ = {**PROXY, "no_proxy": "10.0.0.0/8,192.0.2.7"}

    for target, exempt in (("10.1.2.3:1", True), ("192.0.2.7:1", True), ("192.0.2.8:1", False)):
        remark = proxies.remark(target, environ, use_proxy=True)
        assert ("exempts" in str(remark)) is exempt


def test_only_what_has_to_do_with_proxies_is_kept_of_the_environment() -> None:
    environ = {**PROXY, "NO_PROXY": "a", "no_proxy": "", "SECRET": "hush"}

    assert proxies.named(environ) == {**PROXY, "NO_PROXY": "a"}


def test_a_deadline_that_passed_may_be_the_proxys_doing() -> None:
    error = proxies.explained(DeadlineExceeded(), SEARCH, PROXY, use_proxy=True)

    assert isinstance(error, DeadlineExceeded)
    assert "if the service was not reached: https_proxy is set" in error.message
    late = DeadlineExceeded()
    assert proxies.explained(late, SEARCH, {}, use_proxy=False) is late


@pytest.mark.parametrize("use_proxy", [True, False])
def test_a_service_that_is_not_reached_is_told_with_the_variable(use_proxy: bool) -> None:
    error = proxies.explained(AWAY, "search.example:443", PROXY, use_proxy=use_proxy)

    assert isinstance(error, Unavailable)
    assert error.message.startswith("cannot be reached (https_proxy is set")
    assert error.reason is Reason.NOT_READY
    assert ("was not used" in error.message) is not use_proxy


def test_nothing_is_said_of_a_proxy_that_cannot_matter() -> None:
    missing = NotFound("no such item", reason=Reason.ITEM_NOT_FOUND)
    queue = Unavailable("the queue is away", reason=Reason.QUEUE_UNAVAILABLE)

    for error in (missing, queue):
        assert proxies.explained(error, "search.example:443", PROXY, use_proxy=True) is error
    assert proxies.explained(AWAY, "127.0.0.1:1", PROXY, use_proxy=False) is AWAY
    assert proxies.explained(AWAY, "search.example:443", {}, use_proxy=False) is AWAY
