"""Statistical functions and tests; their p-values are SciPy's."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numpy as np

from oxidask.array import ufunc as u
from oxidask.array.blockwise import elemwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array
from oxidask.array.reductions import moment as _moment
from oxidask.array.routines import where

__all__ = [
    "chisquare",
    "f_oneway",
    "kurtosis",
    "kurtosistest",
    "moment",
    "normaltest",
    "power_divergence",
    "skew",
    "skewtest",
    "ttest_1samp",
    "ttest_ind",
    "ttest_rel",
]

SkewtestResult = namedtuple("SkewtestResult", ("statistic", "pvalue"))
KurtosistestResult = namedtuple("KurtosistestResult", ("statistic", "pvalue"))
NormaltestResult = namedtuple("NormaltestResult", ("statistic", "pvalue"))
Ttest_1sampResult = namedtuple("Ttest_1sampResult", ("statistic", "pvalue"))
Ttest_indResult = namedtuple("Ttest_indResult", ("statistic", "pvalue"))
Ttest_relResult = namedtuple("Ttest_relResult", ("statistic", "pvalue"))
Power_divergenceResult = namedtuple("Power_divergenceResult", ("statistic", "pvalue"))
F_onewayResult = namedtuple("F_onewayResult", ("statistic", "pvalue"))

_NAN_POLICY = "the only nan_policy on offer is 'propagate'"


def _result(kind: Any, *values: Any) -> Any:
    """The statistic and p-value, as one delayed value that can be unpacked."""
    from oxidask import delayed

    return delayed(kind, nout=2)(*values)


def _propagates(nan_policy: str) -> None:
    if nan_policy != "propagate":
        raise NotImplementedError(_NAN_POLICY)


class Tail:
    """Probabilities of a distribution of SciPy beyond values."""

    __name__ = "pvalue"

    def __init__(self, name: str, *, two_sided: bool) -> None:
        self.name, self.two_sided = name, two_sided

    def __call__(self, values: Any, *args: Any) -> Any:
        from scipy import stats

        distribution = getattr(stats, self.name)
        if self.two_sided:
            return 2 * distribution.sf(np.abs(values), *args)
        return distribution.sf(values, *args)


def _p(name: str, statistic: Array, *args: Any, two_sided: bool = False) -> Array:
    return elemwise(Tail(name, two_sided=two_sided), statistic, *args, meta=np.empty((0,) * statistic.ndim, float))


def _count(a: Array, axis: Any) -> Any:
    return a.size if axis is None else a.shape[axis]


def moment(a: Any, moment: int = 1, axis: Any = 0, nan_policy: str = "propagate") -> Array:
    """The central moment of some order along an axis.

    >>> moment([1.0, 2.0, 6.0], 2).compute().round(3)
    np.float64(4.667)
    """
    _propagates(nan_policy)
    return _moment(a, moment, axis=axis)


def skew(a: Any, axis: Any = 0, bias: bool = True, nan_policy: str = "propagate") -> Array:
    """The skewness along an axis.

    >>> skew([1.0, 2.0, 6.0]).compute().round(3)
    np.float64(0.595)
    """
    _propagates(nan_policy)
    a = asanyarray(a)
    n = _count(a, axis)
    m2, m3 = moment(a, 2, axis), moment(a, 3, axis)
    zero = m2 == 0
    made = where(~zero, m3 / u.sqrt(where(zero, 1.0, m2)) ** 3, 0.0 if a.ndim == 0 else np.nan)  # type: ignore[attr-defined]
    if not bias and n > 2:
        made = made * (math.sqrt((n - 1.0) * n) / (n - 2.0))
    return made  # type: ignore[no-any-return]


def kurtosis(a: Any, axis: Any = 0, fisher: bool = True, bias: bool = True, nan_policy: str = "propagate") -> Array:
    """The kurtosis along an axis; zero for a normal distribution if ``fisher``.

    >>> kurtosis([1.0, 2.0, 6.0, 7.0]).compute().round(3)
    np.float64(-1.852)
    """
    _propagates(nan_policy)
    a = asanyarray(a)
    n = _count(a, axis)
    m2, m4 = moment(a, 2, axis), moment(a, 4, axis)
    zero = m2 == 0
    made = where(~zero, m4 / where(zero, 1.0, m2) ** 2, np.nan)
    if not bias and n > 3:
        made = 1.0 / (n - 2) / (n - 3) * ((n**2 - 1.0) * made - 3 * (n - 1) ** 2.0) + 3.0
    return made - 3 if fisher else made  # type: ignore[no-any-return]


def skewtest(a: Any, axis: Any = 0, nan_policy: str = "propagate") -> Any:
    """Whether the skewness differs from that of a normal distribution.

    >>> bool(skewtest(np.arange(9.0) ** 2).pvalue.compute() > 0.05)
    True
    """
    _propagates(nan_policy)
    z = _skew_z(asanyarray(a), axis)
    return _result(SkewtestResult, z, _p("norm", z, two_sided=True))


def _skew_z(a: Array, axis: Any) -> Array:
    b2 = skew(a, axis)
    n = float(_count(a, axis))
    if n < 8:
        raise ValueError(f"skewtest needs 8 samples or more, got {int(n)}")
    y = b2 * math.sqrt((n + 1) * (n + 3) / (6.0 * (n - 2)))
    beta2 = 3.0 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2.0) * (n + 5) * (n + 7) * (n + 9))
    w2 = -1 + math.sqrt(2 * (beta2 - 1))
    delta = 1 / math.sqrt(0.5 * math.log(w2))
    alpha = math.sqrt(2.0 / (w2 - 1))
    y = where(y == 0, 1, y)
    return delta * u.log(y / alpha + u.sqrt((y / alpha) ** 2 + 1))  # type: ignore[attr-defined, no-any-return]


def kurtosistest(a: Any, axis: Any = 0, nan_policy: str = "propagate") -> Any:
    """Whether the kurtosis differs from that of a normal distribution.

    >>> bool(kurtosistest(np.arange(30.0)).pvalue.compute() < 0.05)
    True
    """
    _propagates(nan_policy)
    z = _kurtosis_z(asanyarray(a), axis)
    return _result(KurtosistestResult, z, _p("norm", z, two_sided=True))


def _kurtosis_z(a: Array, axis: Any) -> Array:
    n = float(_count(a, axis))
    b2 = kurtosis(a, axis, fisher=False)
    mean = 3.0 * (n - 1) / (n + 1)
    variance = 24.0 * n * (n - 2) * (n - 3) / ((n + 1) * (n + 1.0) * (n + 3) * (n + 5))
    x = (b2 - mean) / math.sqrt(variance)
    root = (
        6.0 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * math.sqrt((6.0 * (n + 3) * (n + 5)) / (n * (n - 2) * (n - 3)))
    )
    A = 6.0 + 8.0 / root * (2.0 / root + math.sqrt(1 + 4.0 / root**2))
    term1 = 1 - 2 / (9.0 * A)
    denominator = 1 + x * math.sqrt(2 / (A - 4.0))
    safe = where(denominator == 0, 1.0, u.absolute(denominator))  # type: ignore[attr-defined]
    term2 = u.sign(denominator) * where(denominator == 0, np.nan, ((1 - 2.0 / A) / safe) ** (1 / 3.0))  # type: ignore[attr-defined]
    return (term1 - term2) / math.sqrt(2 / (9.0 * A))  # type: ignore[no-any-return]


def normaltest(a: Any, axis: Any = 0, nan_policy: str = "propagate") -> Any:
    """Whether skewness and kurtosis together differ from those of a normal distribution.

    >>> bool(normaltest(np.arange(30.0)).pvalue.compute() < 0.05)
    True
    """
    _propagates(nan_policy)
    s, k = _skew_z(asanyarray(a), axis), _kurtosis_z(asanyarray(a), axis)
    k2 = s * s + k * k
    return _result(NormaltestResult, k2, _p("chi2", k2, 2))


def ttest_1samp(a: Any, popmean: Any, axis: Any = 0, nan_policy: str = "propagate") -> Any:
    """Whether a mean differs from a given one.

    >>> bool(ttest_1samp([1.0, 2.0, 3.0], 2.0).pvalue.compute() == 1)
    True
    """
    _propagates(nan_policy)
    a = asanyarray(a)
    n = _count(a, axis)
    t = (a.mean(axis) - popmean) / u.sqrt(a.var(axis, ddof=1) / float(n))  # type: ignore[attr-defined]
    return _result(Ttest_1sampResult, t, _p("t", t, n - 1, two_sided=True))


def ttest_ind(a: Any, b: Any, axis: Any = 0, equal_var: bool = True) -> Any:
    """Whether the means of two independent samples differ.

    >>> bool(ttest_ind([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).pvalue.compute() == 1)
    True
    """
    a, b = asanyarray(a), asanyarray(b)
    v1, v2 = a.var(axis, ddof=1), b.var(axis, ddof=1)
    n1, n2 = a.shape[axis], b.shape[axis]
    df: Any
    if equal_var:
        df = n1 + n2 - 2.0
        pooled = ((n1 - 1) * v1 + (n2 - 1) * v2) / df
        denominator = u.sqrt(pooled * (1.0 / n1 + 1.0 / n2))  # type: ignore[attr-defined]
    else:
        vn1, vn2 = v1 / n1, v2 / n2
        df = (vn1 + vn2) ** 2 / (vn1**2 / (n1 - 1) + vn2**2 / (n2 - 1))
        df = where(u.isnan(df), 1, df)  # type: ignore[attr-defined]
        denominator = u.sqrt(vn1 + vn2)  # type: ignore[attr-defined]
    t = (a.mean(axis) - b.mean(axis)) / denominator
    return _result(Ttest_indResult, t, _p("t", t, df, two_sided=True))


def ttest_rel(a: Any, b: Any, axis: Any = 0, nan_policy: str = "propagate") -> Any:
    """Whether the means of two related samples differ.

    >>> bool(ttest_rel([1.0, 2.0, 4.0], [1.0, 3.0, 3.0]).pvalue.compute() == 1)
    True
    """
    _propagates(nan_policy)
    a, b = asanyarray(a), asanyarray(b)
    n = a.shape[axis]
    d = (a - b).astype(float)
    t = d.mean(axis) / u.sqrt(d.var(axis, ddof=1) / float(n))  # type: ignore[attr-defined]
    return _result(Ttest_relResult, t, _p("t", t, n - 1, two_sided=True))


_POWERS = {
    "pearson": 1,
    "log-likelihood": 0,
    "freeman-tukey": -0.5,
    "mod-log-likelihood": -1,
    "neyman": -2,
    "cressie-read": 2 / 3,
}


def power_divergence(f_obs: Any, f_exp: Any = None, ddof: int = 0, axis: Any = 0, lambda_: Any = None) -> Any:
    """Whether frequencies differ from expected ones, by a power divergence.

    >>> bool(power_divergence([10, 10]).pvalue.compute() == 1)
    True
    """
    if isinstance(lambda_, str):
        if lambda_ not in _POWERS:
            raise ValueError(f"invalid string for lambda_: {lambda_!r}. Valid strings are {sorted(_POWERS)}")
        lambda_ = _POWERS[lambda_]
    elif lambda_ is None:
        lambda_ = 1
    f_obs = asanyarray(f_obs)
    f_exp = f_obs.mean(axis=axis, keepdims=True) if f_exp is None else asanyarray(f_exp)
    if lambda_ == 1:
        terms = (f_obs - f_exp) ** 2 / f_exp
    elif lambda_ == 0:
        terms = 2.0 * _xlogy(f_obs, f_obs / f_exp)
    elif lambda_ == -1:
        terms = 2.0 * _xlogy(f_exp, f_exp / f_obs)
    else:
        terms = f_obs * ((f_obs / f_exp) ** lambda_ - 1)
        terms = terms / (0.5 * lambda_ * (lambda_ + 1))
    statistic = terms.sum(axis=axis)
    n = _count(terms, axis)
    return _result(Power_divergenceResult, statistic, _p("chi2", statistic, n - 1 - ddof))


def _xlogy(x: Array, y: Array) -> Array:
    return x * u.log(where(x == 0, 1.0, y))  # type: ignore[attr-defined, no-any-return]


def chisquare(f_obs: Any, f_exp: Any = None, ddof: int = 0, axis: Any = 0) -> Any:
    """Whether frequencies differ from expected ones, by Pearson's test.

    >>> bool(chisquare([10, 10]).pvalue.compute() == 1)
    True
    """
    return power_divergence(f_obs, f_exp=f_exp, ddof=ddof, axis=axis, lambda_="pearson")


def f_oneway(*args: Any) -> Any:
    """Whether the means of several samples are the same.

    >>> bool(f_oneway([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).pvalue.compute() == 1)
    True
    """
    from oxidask.array.stacking import concatenate

    samples = [asanyarray(x) for x in args]
    whole = concatenate(samples)
    n, k = len(whole), len(samples)
    offset = whole.mean()
    whole = whole - offset
    total = (whole**2).sum() - whole.sum() ** 2 / n
    between: Any = 0
    for x in samples:
        between = between + (x - offset).sum() ** 2 / len(x)
    between = between - whole.sum() ** 2 / n
    within = total - between
    f = (between / (k - 1)) / (within / (n - k))
    return _result(F_onewayResult, f, _p("f", f, k - 1, n - k))
