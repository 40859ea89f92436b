"""Where replicas run: the Ray cluster, its placement groups, and actors that are found by name.

A partition's replicas stand in one placement group, STRICT_SPREAD: never two on a node. When
a node dies, Ray moves its bundle to another that has room, and starts the actor there anew.
Groups and actors are detached: they live on without the front that made them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from lookalike.wire.errors import Exhausted, LookalikeError, Reason
from search_service.cluster.actor import GROUPS, QUERY_THREADS, ReplicaActor
from search_service.cluster.answering import Told
from search_service.cluster.connection import connect
from search_service.cluster.fanout import ReplicaAway
from search_service.cluster.messages import pack, unpack
from search_service.cluster.names import SharedCatalog
from search_service.cluster.settings import ClusterSettings
from search_service.domain.collection import CollectionSpec
from search_service.shard.options import ShardOptions

_log = logging.getLogger(__name__)

_MIB = 1 << 20
_PLACED_WITHIN_S = 30.0
_LEAVES_WITHIN_S = 10.0
# An actor that is gone for good, after a loss of the whole cluster, is made anew; not more
# often than this.
_PLACE_AGAIN_S = 5.0


class RayMissing(Exception):
    """The extra `ray` is not installed."""


class Placement:
    """The replicas of collections on a Ray cluster; methods block."""

    def __init__(self, settings: ClusterSettings, options: ShardOptions) -> None:
        self._settings = settings
        self._options = options
        log = connect(settings.cluster_log, settings.cluster_log_tls_ca)
        self._catalog = SharedCatalog(log, settings.cluster_key_prefix)

    def connect(self) -> None:
        """Join the cluster.

        Raises:
            RayMissing: the library is not installed.
            ConnectionError: there is no cluster at that address.
        """
        try:
            import ray
        except ImportError as error:
            raise RayMissing("--cluster-log needs Ray: pip install 'lookalike[ray]'") from error
        node = self._settings.cluster_node_address
        options: dict[str, Any] = {"_node_ip_address": node} if node else {}
        ray.init(
            address=self._settings.cluster_address,
            namespace=self._settings.cluster_key_prefix,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **options,
        )

    def close(self) -> None:
        """Leave the cluster; replicas live on."""
        import ray

        ray.shutdown()

    def place(self, spec: CollectionSpec, *, wait: bool) -> list[list[RayReplica]]:
        """Return the replicas of each partition, made where there are none.

        One front at a time does this for a collection. With `wait`, nodes for all of them
        must be found soon.

        Raises:
            Exhausted: there are too few nodes with room.
        """
        groups = [self._group(spec, partition) for partition in range(spec.partitions)]
        if wait:
            deadline_s = time.monotonic() + _PLACED_WITHIN_S
            for group in groups:
                if not group.wait(timeout_seconds=max(0.1, deadline_s - time.monotonic())):
                    self.remove(spec)
                    raise Exhausted(
                        f"the cluster has no {spec.replicas} nodes with room for a replica of "
                        "each partition: add nodes, or ask for fewer",
                        retry_delay_s=30.0,
                    )
        return [
            [self._replica(spec, partition, number) for number in range(spec.replicas)]
            for partition in range(spec.partitions)
        ]

    def remove(self, spec: CollectionSpec) -> None:
        """End all replicas of a collection and delete what they have on their disks.

        Those that cannot be reached end when they are started anew.
        """
        import ray

        actors = []
        for partition in range(spec.partitions):
            for number in range(spec.replicas):
                try:
                    actors.append(ray.get_actor(self._name(spec.uid, partition, number)))
                except ValueError:
                    continue
        ray.wait(
            [actor.tell.remote(pack(("leave",))) for actor in actors],
            num_returns=max(1, len(actors)),
            timeout=_LEAVES_WITHIN_S,
        ) if actors else None
        for actor in actors:
            ray.kill(actor)
        for partition in range(spec.partitions):
            try:
                group = ray.util.get_placement_group(self._name(spec.uid, partition))
            except ValueError:
                continue
            ray.util.remove_placement_group(group)

    def _group(self, spec: CollectionSpec, partition: int) -> Any:
        import ray

        name = self._name(spec.uid, partition)
        try:
            return ray.util.get_placement_group(name)
        except ValueError:
            bundle: dict[str, float] = {"CPU": self._settings.cluster_replica_cpus}
            if self._settings.cluster_replica_memory_mib:
                bundle["memory"] = self._settings.cluster_replica_memory_mib * _MIB
            return ray.util.placement_group(
                [dict(bundle) for _ in range(spec.replicas)],
                strategy="STRICT_SPREAD",
                name=name,
                lifetime="detached",
            )

    def _replica(self, spec: CollectionSpec, partition: int, number: int) -> RayReplica:
        def again() -> Any:
            # Or another front has deleted it, and nobody would remove what is made now.
            known = self._catalog.spec(spec.uid) is not None
            return self._actor(spec, partition, number) if known else None

        return RayReplica(self._actor(spec, partition, number), again)

    def _actor(self, spec: CollectionSpec, partition: int, number: int) -> Any:
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        threads = {"concurrency_groups": GROUPS, "max_concurrency": QUERY_THREADS}
        kind = ray.remote(**threads)(ReplicaActor).options(
            name=self._name(spec.uid, partition, number),
            get_if_exists=True,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            # Ray would tell its head of each call.
            enable_task_events=False,
            num_cpus=self._settings.cluster_replica_cpus,
            memory=self._settings.cluster_replica_memory_mib * _MIB or None,
            scheduling_strategy=PlacementGroupSchedulingStrategy(
                self._group(spec, partition), placement_group_bundle_index=number
            ),
        )
        return kind.remote(self._settings, self._options, spec.uid, partition, number, "")

    def _name(self, uid: str, partition: int, number: int | None = None) -> str:
        name = f"{self._settings.cluster_key_prefix}:{uid}:{partition}"
        return name if number is None else f"{name}:{number}"


class RayReplica:
    """`ReplicaHandle` over an actor."""

    def __init__(self, actor: Any, find: Callable[[], Any]) -> None:
        """`find` returns the actor, made anew where it is gone for good; None: it is to be gone."""
        self._find = find
        self._actor = actor
        self._found_s = time.monotonic()
        self._finding = threading.Lock()

    def call(self, method: str, *args: Any) -> Future[Any]:
        """See `ReplicaHandle`."""
        answer: Future[Any] = Future()
        try:
            tell = self._actor.tell
            if method != "query":
                tell = tell.options(concurrency_group=method if method in GROUPS else "other")
            reference = tell.remote(pack((method, *args)))
            reference.future().add_done_callback(lambda done: self._pass_on(done, answer))
        except Exception as error:  # noqa: BLE001 - whatever Ray says, the caller must hear of it
            self._fail(error, answer)
        return answer

    def _pass_on(self, done: Future[Any], answer: Future[Any]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        failure = done.exception()
        if failure is not None:
            self._fail(failure, answer)
            return
        told: Told = unpack(done.result())
        if told.error is not None:
            answer.set_exception(told.error)
        else:
            answer.set_result(told.value)

    def _fail(self, failure: BaseException, answer: Future[Any]) -> None:
        from ray.exceptions import ActorDiedError, RayError

        if isinstance(failure, ActorDiedError):
            self._find_again()
        if isinstance(failure, RayError):
            answer.set_exception(ReplicaAway(type(failure).__name__))
            return
        _log.error("a replica cannot be called: %s", failure)
        fault = LookalikeError("a replica cannot be called", reason=Reason.INTERNAL)
        answer.set_exception(fault)

    def _find_again(self) -> None:
        """Find the actor anew, on another thread; a little while later if it was tried now."""
        with self._finding:
            if time.monotonic() - self._found_s < _PLACE_AGAIN_S:
                return
            self._found_s = time.monotonic()

        def find() -> None:
            try:
                self._actor = self._find() or self._actor
            except Exception:  # noqa: BLE001 - logged; tried again by whoever calls next
                _log.exception("a replica cannot be found anew")

        threading.Thread(target=find, name="find-replica", daemon=True).start()
