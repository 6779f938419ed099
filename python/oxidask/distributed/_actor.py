"""Objects that live on a worker and change."""

from __future__ import annotations

import concurrent.futures
import inspect
import json
import os
import threading
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.distributed._async import in_thread, until
from oxidask.distributed._future import seconds_of
from oxidask.distributed._pickling import collecting

__all__ = ["Actor", "ActorFuture", "BaseActorFuture", "hosted"]


def hosted(func: Callable[..., Any], args: Any, kwargs: Any, key: Any) -> tuple[Any, Any, Any, str, bool]:
    """The call that makes an actor and keeps it where it runs."""
    from oxidask.distributed._shared import unique_name

    name = key if isinstance(key, str) else unique_name(getattr(func, "__name__", type(func).__name__))
    return _Host(func), (name, *args), kwargs, name, False


class _Host:
    """Makes an object and keeps it in this process."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        self.__name__ = getattr(make, "__name__", "actor")

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Actor:
        home = _home()
        home.add(name, self.make(*args, **kwargs))
        return Actor(self.make if isinstance(self.make, type) else object, home.address, name)


class _Home:
    """The actors of this process on one worker, and the mailbox for their calls."""

    def __init__(self, worker: dict[str, Any]) -> None:
        if worker["address"].startswith("unix://"):
            folder = os.path.dirname(worker["address"].removeprefix("unix://"))
            address = f"unix://{folder}/actors-{worker['name']}-{os.getpid()}"
        else:
            address = worker["address"].rpartition(":")[0] + ":0"
        self._mailbox = _oxidask.MailboxHandle(address, worker["secret"], json.dumps(worker["security"]))
        self.address: str = self._mailbox.address
        self._actors: dict[str, _Resident] = {}
        threading.Thread(target=self._serve, name="oxidask-actors", daemon=True).start()

    def add(self, name: str, thing: Any) -> None:
        from oxidask.distributed._context import get_client

        digits = _oxidask.key_of_name(name)
        self._actors[digits] = _Resident(thing, name)
        # The actor goes when nobody wants its future any more.
        get_client()._shared.ask_later(_oxidask.Ask.forgotten(name), lambda *_: self._drop(digits))

    def _drop(self, digits: str) -> None:
        resident = self._actors.pop(digits, None)
        if resident is not None:
            resident.stop()

    def _serve(self) -> None:
        while True:
            for call in self._mailbox.next():
                resident = self._actors.get(call.actor)
                if resident is None:
                    call.reply((False, RuntimeError("this actor is gone: its future was released")))
                else:
                    resident.take(call)


class _Resident:
    """An actor, and the one thread on which its methods run in turn."""

    def __init__(self, thing: Any, name: str) -> None:
        self.thing = thing
        from oxidask.distributed._context import membership, run_as_member

        # What the methods ask for is asked for on the worker that made the actor.
        self._thread = concurrent.futures.ThreadPoolExecutor(
            1, thread_name_prefix=f"actor-{name}", initializer=run_as_member, initargs=(membership(),)
        )
        self._loop: Any = None

    def take(self, call: Any) -> None:
        self._thread.submit(self._answer, call)

    def stop(self) -> None:
        self._thread.shutdown(wait=False)
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _answer(self, call: Any) -> None:
        try:
            kind, name, args, kwargs = call.body()
            if kind == "get":
                value = getattr(self.thing, name)
            elif kind == "set":
                value = setattr(self.thing, name, args[0])
            else:
                value = getattr(self.thing, name)(*args, **kwargs)
                if inspect.iscoroutine(value):
                    # Coroutines run side by side, so that one may wait for another.
                    self._run(value, call)
                    return
        except BaseException as error:
            _reply(call, False, error)
        else:
            _reply(call, True, value)

    def _run(self, coroutine: Any, call: Any) -> None:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="oxidask-actor-loop", daemon=True).start()

        async def run() -> None:
            try:
                value = await coroutine
            except BaseException as error:
                _reply(call, False, error)
            else:
                _reply(call, True, value)

        asyncio.run_coroutine_threadsafe(run(), self._loop)


def _reply(call: Any, is_fine: bool, value: Any) -> None:
    try:
        call.reply((is_fine, value))
    except Exception as error:
        call.reply((False, TypeError(f"the answer of an actor cannot be sent: {error}")))


_homes: dict[str, _Home] = {}
_homes_lock = threading.Lock()


def _home() -> _Home:
    from oxidask.distributed._context import membership

    worker = membership()
    if worker is None:
        raise ValueError("an actor is made by a task: client.submit(Class, actor=True)")
    with _homes_lock:
        home = _homes.get(worker["address"])
        if home is None:
            home = _homes[worker["address"]] = _Home(worker)
        return home


class BaseActorFuture:
    """What a method of an actor answers: see :class:`ActorFuture`."""

    def result(self, timeout: Any = None) -> Any:
        """Waits for the answer."""
        raise NotImplementedError

    def done(self) -> bool:
        """Whether the answer is there."""
        raise NotImplementedError

    def __await__(self) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class ActorFuture(BaseActorFuture):
    """The answer of an actor's method, now or later.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> class Counter:
    ...     n = 0
    ...     def increment(self):
    ...         self.n += 1
    ...         return self.n
    >>> with Client(n_workers=1, processes=False) as client:
    ...     counter = client.submit(Counter, actor=True).result()
    ...     counter.increment().result(), counter.n
    (1, 1)
    """

    def __init__(self, reply: Any, client: Any) -> None:
        self._reply = reply
        self._client = client

    def done(self) -> bool:
        """Whether the answer is there."""
        return bool(self._reply.done())

    def result(self, timeout: Any = None) -> Any:
        """Waits for the answer; for an asynchronous client an awaitable of it.

        Raises
        ------
        TimeoutError
            If it is not there in time.
        Exception
            Whatever the method raised.
        """
        if self._client.asynchronous:
            return self._result_async(seconds_of(timeout))
        return self._result(timeout)

    def _result(self, timeout: Any = None) -> Any:
        if not self._reply.wait(seconds_of(timeout)):
            raise TimeoutError(f"the actor did not answer within {timeout} s")
        return self._taken()

    def _taken(self) -> Any:
        with self._client.as_current():
            is_fine, value = self._reply.take()
        if is_fine:
            return value
        raise value

    async def _result_async(self, timeout: float | None = None) -> Any:
        if not self._reply.done():
            await until(self._reply.on_done, timeout)
        return await in_thread(self._taken)

    def __await__(self) -> Any:
        return self._result_async().__await__()


class Actor:
    """An object that lives on a worker, as others see it.

    Made by ``client.submit(Class, …, actor=True)``. Its methods answer
    :class:`ActorFuture` at once; its attributes are read, and set, there.
    Methods run one after another, on a thread of the actor's own that takes no
    slot of the worker. The object goes when its future does; what it knows is
    lost if its process dies.

    Notes
    -----
    Calls go straight to the actor's process, not through the scheduler.
    """

    def __init__(self, cls: type, address: str, key: str, future: Any = None) -> None:
        # The future keeps the actor alive.
        self.__dict__.update(_cls=cls, _address=address, key=key, _client=None, _future=future)

    def _of_future(self, future: Any) -> Actor:
        """The same actor, which lives while this does."""
        return Actor(self._cls, self._address, self.key, future)

    def _client_of(self) -> Any:
        client = self._client
        if client is None or client.status != "running":
            from oxidask.distributed._context import get_client

            client = self.__dict__["_client"] = get_client()
        return client

    def _call(self, kind: str, name: str, args: Any, kwargs: Any) -> ActorFuture:
        client = self._client_of()
        with collecting() as inside:
            reply = client._handle.call_actor(self._address, self.key, (kind, name, args, kwargs))
        if inside:
            handles = [future._handle for future in inside]
            reply.on_done(lambda kept=handles: None)
        return ActorFuture(reply, client)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        attribute = inspect.getattr_static(self._cls, name, None)
        if callable(getattr(self._cls, name, None)) and not isinstance(attribute, property):

            def method(*args: Any, **kwargs: Any) -> ActorFuture:
                return self._call("call", name, args, kwargs)

            method.__name__ = name
            return method
        return self._call("get", name, (), {}).result()

    def __setattr__(self, name: str, value: Any) -> None:
        self._call("set", name, (value,), {})._result()

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._cls)})

    def __reduce__(self) -> Any:
        return Actor, (self._cls, self._address, self.key, self._future)

    def __repr__(self) -> str:
        return f"<Actor: {self._cls.__name__}, key={self.key}>"
