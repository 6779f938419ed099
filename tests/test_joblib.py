"""joblib and scikit-learn on oxidask's schedulers, and executors over each of them."""

import concurrent.futures
import threading

import pytest
from oxidask.executors import Executor

joblib = pytest.importorskip("joblib")
import oxidask.joblib  # noqa: E402, F401


def square(x):
    return x * x


def fail(x):
    raise KeyError(x)


def test_an_executor_is_one_of_concurrent_futures(scheduler):
    with Executor(scheduler, max_workers=2) as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        assert list(executor.map(square, range(5))) == [x * x for x in range(5)]
        futures = [executor.submit(pow, 2, exponent, mod=7) for exponent in range(4)]
        done, pending = concurrent.futures.wait(futures)
        assert not pending and sorted(f.result() for f in done) == sorted(2**e % 7 for e in range(4))
        with pytest.raises(KeyError, match="7"):
            executor.submit(fail, 7).result()
    with pytest.raises(RuntimeError):
        executor.submit(square, 1)


def test_arguments_are_taken_as_they_are(scheduler):
    from oxidask import delayed

    with Executor(scheduler, 1) as executor:
        assert executor.submit(type, {"a": [1]}).result() is dict
        if scheduler != "processes":
            lazy = delayed(square)(2)
            assert executor.submit(lambda x: x is lazy, lazy).result()


def test_the_cluster_has_an_executor():
    from oxidask.distributed import Client

    with Client(n_workers=1, threads_per_worker=1) as client, Executor(client) as executor:
        assert executor.submit(square, 12).result() == 144


def test_waiting_calls_can_be_cancelled():
    begun, go = threading.Event(), threading.Event()

    def wait():
        begun.set()
        assert go.wait(60)

    executor = Executor("threads", max_workers=1)
    first = executor.submit(wait)
    assert begun.wait(60)
    second = executor.submit(square, 2)
    assert second.cancel()
    go.set()
    first.result(60)
    executor.shutdown()


def test_bad_numbers_of_workers():
    with pytest.raises(ValueError, match="max_workers"):
        Executor("threads", 0)


def test_parallel_loops(scheduler):
    with joblib.parallel_backend("oxidask", scheduler=scheduler):
        results = joblib.Parallel(n_jobs=2)(joblib.delayed(square)(x) for x in range(20))
    assert results == [x * x for x in range(20)]


def test_an_error_in_a_parallel_loop_is_raised(scheduler):
    with joblib.parallel_backend("oxidask", scheduler=scheduler), pytest.raises(KeyError, match="3"):
        joblib.Parallel(n_jobs=2)(joblib.delayed(fail)(x) for x in [3])


def search_grid(**backend):
    """The best parameters and all scores of a grid search: without a backend in this thread."""
    from sklearn.datasets import load_iris
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    data, target = load_iris(return_X_y=True)
    search = GridSearchCV(SVC(random_state=0), {"C": [0.1, 1, 10], "kernel": ["rbf", "linear"]}, cv=3, n_jobs=2)
    with joblib.parallel_backend("oxidask", **backend) if backend else joblib.parallel_backend("sequential"):
        search.fit(data, target)
    return search.best_params_, search.cv_results_["mean_test_score"].tolist()


def test_a_grid_search_of_scikit_learn(scheduler):
    pytest.importorskip("sklearn")
    assert search_grid(scheduler=scheduler) == search_grid()


def test_a_grid_search_on_a_cluster():
    pytest.importorskip("sklearn")
    from oxidask.distributed import Client

    with Client(n_workers=2, threads_per_worker=1) as client:
        assert search_grid(scheduler=client) == search_grid()
