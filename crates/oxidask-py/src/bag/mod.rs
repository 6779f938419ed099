//! Bags for Python: partitions are lists, the work is calls of Python functions.
//!
//! The Python layer says which function is called with which arguments; here
//! that becomes nodes ([`expr`]) whose tasks run a [`pipe::PipeOp`].

mod avro;
mod cells;
mod collection;
mod expr;
mod files;
mod native;
mod pipe;
mod plan;
mod steps;
mod text;

use crate::base::{self, Lazy, PyExpr, lazy_of};
use crate::call::{Function, PyCall};
use crate::delayed::{Delayed, current_annotations, random_key};
use crate::error::OrRaise;
use crate::template::{Arg, Builder, Template};
use crate::travel;
use crate::value::to_value;
use collection::{bag_of, item_of, made};
use expr::{BagMeta, ScanExpr, SelectExpr, SplitExpr, partitions_of};
use native::{Native, Tree, native_of};
use oxidask::bag::Given;
use oxidask_core::{ExprRef, Key, KeyHasher};
use pipe::{Cut, Step};
use plan::{Origin, Pipe, PipeExpr};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    collection::register(module)?;
    files::register(module)?;
    steps::register(module)?;
    avro::register(module)?;
    module.add_function(wrap_pyfunction!(bag_source, module)?)?;
    module.add_function(wrap_pyfunction!(bag_pipe, module)?)?;
    module.add_function(wrap_pyfunction!(bag_reduce, module)?)?;
    module.add_function(wrap_pyfunction!(bag_exchange, module)?)?;
    module.add_function(wrap_pyfunction!(bag_concat, module)?)?;
    module.add_function(wrap_pyfunction!(bag_select, module)?)?;
    module.add_function(wrap_pyfunction!(bag_split, module)?)?;
    module.add_function(wrap_pyfunction!(bag_shuffle, module)?)?;
    module.add_function(wrap_pyfunction!(bag_scan, module)?)?;
    module.add_function(wrap_pyfunction!(bag_item, module)?)?;
    module.add_function(wrap_pyfunction!(bag_npartitions, module)?)?;
    module.add_function(wrap_pyfunction!(bag_delayed, module)?)?;
    module.add_function(wrap_pyfunction!(bag_dumps, module)?)?;
    module.add_function(wrap_pyfunction!(bag_loads, module)?)
}

/// A step that calls a function of the compiled module with the elements.
fn own_step(py: Python<'_>, name: &str) -> PyResult<Step> {
    let function = crate::delayed::own_function(py, name)?;
    let template = Template { args: [Arg::Input(0)].into_iter().collect(), ..Template::default() };
    Ok(Step {
        call: Arc::new(PyCall::new(function, template)),
        extras: Default::default(),
        listed: false,
        native: None,
    })
}

/// The expression of a bag.
fn expr_of(bag: &Bound<'_, PyAny>) -> PyResult<ExprRef> {
    match lazy_of(bag)? {
        Some(lazy) => Ok(lazy.expr),
        None => Err(PyTypeError::new_err(format!("a bag is needed, got {}", bag.get_type().name()?))),
    }
}

/// The key of work with these parts, or one that no other work has.
fn key_of(kind: &str, parts: &Bound<'_, PyAny>) -> PyResult<Key> {
    static TOKENIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = parts.py();
    let token: String = TOKENIZE.import(py, "oxidask.tokenize", "tokenize")?.call1((parts,))?.extract()?;
    Ok(KeyHasher::new(kind).bytes(token.as_bytes()).finish())
}

/// Partitions that are here already.
#[pyfunction]
fn bag_source(partitions: &Bound<'_, PyList>, label: &str) -> PyExpr {
    let py = partitions.py();
    // The content names itself, by its pickled form; what cannot be pickled is
    // like nothing else.
    let mut hasher = KeyHasher::new("bag.source");
    for partition in partitions {
        match py.import("pickle").and_then(|pickle| pickle.call_method1("dumps", (&partition, 5))) {
            Ok(stream) if stream.is_instance_of::<PyBytes>() => {
                hasher = hasher.bytes(stream.extract::<&[u8]>().unwrap_or_default());
            }
            _ => hasher = hasher.key(random_key()),
        }
    }
    let is_plain = partitions.iter().all(|partition| cells::are_plain(&partition));
    let meta = BagMeta { n: partitions.len(), is_plain };
    let values = partitions.iter().map(to_value).collect();
    bag_of(Arc::new(Given::new(hasher.finish(), label, values, meta)))
}

/// What is well known of a call; see `oxidask.bag._native`.
fn native_call(
    function: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    base: &Bound<'_, PyAny>,
) -> Option<Native> {
    static DESCRIBE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = function.py();
    let describe = DESCRIBE.import(py, "oxidask.bag._native", "describe").ok()?;
    let form = describe.call1((function, args, kwargs, base)).ok()?;
    if form.is_none() { None } else { native_of(&form).ok() }
}

/// As [`native_call`], for a function that combines results.
fn native_tree(function: &Bound<'_, PyAny>) -> Option<Native> {
    static DESCRIBE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let describe = DESCRIBE.import(function.py(), "oxidask.bag._native", "describe_tree").ok()?;
    let form = describe.call1((function,)).ok()?;
    if form.is_none() { None } else { native_of(&form).ok() }
}

/// A call on the elements of `base`, wherever that is among the arguments. Other
/// bags there are read partition by partition, all else lazy as a whole.
struct Call {
    step: Step,
    inputs: Vec<ExprRef>,
}

impl Call {
    fn new(
        base: &ExprRef,
        function: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        listed: bool,
    ) -> PyResult<Self> {
        let mut found: Vec<Lazy> = Vec::new();
        let mut builder = Builder::new(&mut found, true);
        let mut template = Template::default();
        for arg in args.iter() {
            template.args.push(builder.arg(&arg)?);
        }
        for (name, value) in kwargs.into_iter().flatten() {
            template.kwargs.push((name.cast_into::<PyString>()?.unbind(), builder.arg(&value)?));
        }
        template.literals = std::mem::take(&mut builder.literals);
        // The first hole of a step takes the elements; a list can be read twice.
        let mut holes = Vec::with_capacity(found.len());
        let mut inputs = Vec::new();
        for lazy in &found {
            if lazy.expr.key() == base.key() {
                holes.push(0);
            } else {
                inputs.push(if partitions_of(&lazy.expr).is_some() {
                    lazy.expr.clone()
                } else {
                    lazy.whole().or_raise()?
                });
                holes.push(crate::template::index_of(inputs.len()));
            }
        }
        let n_base = holes.iter().filter(|hole| **hole == 0).count();
        template.args.iter_mut().for_each(|arg| renumber(arg, &holes));
        template.kwargs.iter_mut().for_each(|(_, arg)| renumber(arg, &holes));
        let step = Step {
            call: Arc::new(PyCall::new(Function::of(function), template)),
            extras: (0..crate::template::index_of(inputs.len())).collect(),
            listed: listed || n_base > 1,
            native: None,
        };
        Ok(Call { step, inputs })
    }
}

/// Gives the holes of an argument other numbers.
fn renumber(arg: &mut Arg, numbers: &[u32]) {
    match arg {
        Arg::Literal(_) => {}
        Arg::Input(number) => *number = numbers[*number as usize],
        Arg::List(args) | Arg::Tuple(args) | Arg::Set(args) | Arg::FrozenSet(args) | Arg::Call(_, args) => {
            args.iter_mut().for_each(|arg| renumber(arg, numbers));
        }
        Arg::Dict(pairs) => pairs.iter_mut().for_each(|(key, value)| {
            renumber(key, numbers);
            renumber(value, numbers);
        }),
        Arg::Copy(_, fields) => fields.iter_mut().for_each(|(_, arg)| renumber(arg, numbers)),
    }
}

/// Calls `function(*args, **kwargs)` for each partition of `base`, which stands
/// among the arguments, or for the list of each group of partitions.
#[pyfunction]
#[pyo3(signature = (base, label, function, args, kwargs = None, *, listed = false, groups = None, item = false))]
#[allow(clippy::too_many_arguments, reason = "the Python layer names them")]
fn bag_pipe(
    base: &Bound<'_, PyAny>,
    label: &str,
    function: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    listed: bool,
    groups: Option<Vec<(u32, u32)>>,
    item: bool,
) -> PyResult<PyExpr> {
    let py = base.py();
    let expr = expr_of(base)?;
    let n = partitions_of(&expr).unwrap_or(1);
    let mut call = Call::new(&expr, function, args, kwargs, listed)?;
    if call.inputs.is_empty() && !item {
        call.step.native = native_call(function, args, kwargs, base);
    }
    let n_out = groups.as_ref().map_or(n, Vec::len);
    for other in &call.inputs {
        let others = partitions_of(other).unwrap_or(n_out);
        if others != n_out {
            return Err(PyValueError::new_err(format!(
                "'{label}' reads bags of {n_out} and {others} partitions together\n\
                 hint: give both the same number of partitions: bag.repartition(npartitions=…)"
            )));
        }
    }
    if groups.iter().flatten().any(|(start, end)| start > end || *end as usize > n) {
        return Err(PyIndexError::new_err(format!("a group lies outside of the {n} partitions")));
    }
    let parts = (base, label, function, args, kwargs, listed, &groups, item).into_pyobject(py)?;
    let inputs: Vec<ExprRef> = std::iter::once(expr).chain(call.inputs).collect();
    let pipe = PipeExpr {
        key: key_of("bag.pipe", parts.as_any())?,
        label: Arc::from(label),
        from: groups.map_or(Origin::Partition, Origin::Groups),
        steps: vec![call.step],
        inputs: inputs.into(),
        n: (!item).then_some(n_out),
        cut: None,
        annotations: current_annotations(py)?,
    };
    Ok(made(Pipe::expr(pipe), item))
}

/// Combines the partitions of `base` as a tree: `combine`, and at the root
/// `aggregate`, are called with lists of at most `split_every` results.
#[pyfunction]
fn bag_reduce(
    base: &Bound<'_, PyAny>,
    label: &str,
    combine: &Bound<'_, PyAny>,
    aggregate: &Bound<'_, PyAny>,
    split_every: usize,
    item: bool,
) -> PyResult<PyExpr> {
    let py = base.py();
    if split_every < 2 {
        return Err(PyValueError::new_err(format!("split_every must be at least 2, got {split_every}")));
    }
    let mut expr = expr_of(base)?;
    let token = key_of("bag.reduce", (base, label, combine, aggregate, split_every, item).into_pyobject(py)?.as_any())?;
    let annotations = current_annotations(py)?;
    let step = |function| {
        let step = tree_step(function);
        let fits = !item || step.native == Some(Native::Tree(Tree::Calls));
        if fits { step } else { Step { native: None, ..step } }
    };
    let (combine, aggregate) = (step(combine), step(aggregate));
    for level in 0_u64.. {
        let n = partitions_of(&expr).unwrap_or(1);
        let is_root = n <= split_every;
        let groups: Vec<(u32, u32)> = (0..n.div_ceil(split_every).max(1))
            .map(|group| (group * split_every, ((group + 1) * split_every).min(n)))
            .map(|(start, end)| (crate::template::index_of(start), crate::template::index_of(end)))
            .collect();
        let n_groups = groups.len();
        expr = Pipe::expr(PipeExpr {
            key: KeyHasher::new("bag.reduce").key(token).u64(level).finish(),
            label: Arc::from(if is_root { label.to_owned() } else { format!("{label}-combine") }),
            from: Origin::Groups(groups),
            steps: vec![if is_root { aggregate.clone() } else { combine.clone() }],
            inputs: vec![expr].into(),
            n: (!(is_root && item)).then_some(n_groups),
            cut: None,
            annotations: annotations.clone(),
        });
        if is_root {
            break;
        }
    }
    Ok(made(expr, item))
}

/// A step that calls a function with a list of results.
fn tree_step(function: &Bound<'_, PyAny>) -> Step {
    Step {
        call: Arc::new(PyCall::new(Function::of(function), Template::of_inputs(1))),
        extras: Default::default(),
        listed: false,
        native: native_tree(function),
    }
}

/// Merges dicts, one in each partition of `base`, by an exchange: each is cut into
/// `n` shards by key, `merge` combines shards with the same number, `group` of
/// them at once, and `join` makes one partition of all shards.
#[pyfunction]
fn bag_exchange(
    base: &Bound<'_, PyAny>,
    label: &str,
    merge: &Bound<'_, PyAny>,
    join: &Bound<'_, PyAny>,
    n: u32,
    group: u32,
) -> PyResult<PyExpr> {
    let py = base.py();
    if n == 0 || group < 2 {
        return Err(PyValueError::new_err(format!("an exchange of {n} shards, {group} at once, cannot be")));
    }
    let expr = expr_of(base)?;
    let token = key_of("bag.exchange", (base, label, merge, join, n, group).into_pyobject(py)?.as_any())?;
    let annotations = current_annotations(py)?;
    let pipe = |number: u64, kind: &str, from, steps, input, n_tasks, cut| {
        Pipe::expr(PipeExpr {
            key: KeyHasher::new("bag.exchange").key(token).u64(number).finish(),
            label: Arc::from(format!("{label}{kind}")),
            from,
            steps,
            inputs: vec![input].into(),
            n: Some(n_tasks),
            cut,
            annotations: annotations.clone(),
        })
    };
    let mut partitions = partitions_of(&expr).unwrap_or(1);
    let mut expr = pipe(0, "-cut", Origin::Partition, Vec::new(), expr, partitions, Some(Cut::ByKey(n)));
    let merge = tree_step(merge);
    for level in 1.. {
        let from = Origin::Pieces { pieces: n, partitions: group };
        partitions = partitions.div_ceil(group as usize);
        expr = pipe(level, "-merge", from, vec![merge.clone()], expr, partitions * n as usize, None);
        if partitions <= 1 {
            break;
        }
    }
    let all = Origin::Groups(vec![(0, n)]);
    Ok(bag_of(pipe(u64::MAX, "", all, vec![tree_step(join)], expr, 1, None)))
}

/// The blocks of another collection as the partitions of a bag, whose functions see
/// what Python makes of each.
pub fn of_blocks(expr: ExprRef, n: usize) -> PyExpr {
    let picks = (0..n).map(|block| (0, crate::template::index_of(block))).collect();
    bag_of(SelectExpr::expr(vec![expr], picks))
}

/// All partitions of bags, and each other lazy thing as a partition.
#[pyfunction]
fn bag_concat(parts: Vec<Bound<'_, PyAny>>) -> PyResult<PyExpr> {
    let exprs = parts
        .iter()
        .map(|part| {
            let Some(lazy) = lazy_of(part)? else {
                return Err(PyTypeError::new_err(format!("a lazy value is needed, got {}", part.get_type().name()?)));
            };
            if partitions_of(&lazy.expr).is_some() { Ok(lazy.expr) } else { lazy.whole().or_raise() }
        })
        .collect::<PyResult<_>>()?;
    Ok(bag_of(SelectExpr::all(exprs)))
}

/// Some partitions of a bag.
#[pyfunction]
fn bag_select(base: &Bound<'_, PyAny>, partitions: Vec<u32>) -> PyResult<PyExpr> {
    let expr = expr_of(base)?;
    let n = partitions_of(&expr).unwrap_or(1);
    if let Some(wrong) = partitions.iter().find(|partition| **partition as usize >= n) {
        return Err(PyIndexError::new_err(format!("there is no partition {wrong} in a bag with {n} partitions")));
    }
    Ok(bag_of(SelectExpr::expr(vec![expr], partitions.into_iter().map(|partition| (0, partition)).collect())))
}

/// Each partition cut into as many as `counts` says.
#[pyfunction]
fn bag_split(base: &Bound<'_, PyAny>, counts: Vec<u32>) -> PyResult<PyExpr> {
    let py = base.py();
    let expr = expr_of(base)?;
    let n = partitions_of(&expr).unwrap_or(1);
    if counts.len() != n || counts.contains(&0) {
        return Err(PyValueError::new_err(format!("{n} partitions need {n} counts of at least 1")));
    }
    let function = crate::delayed::own_function(py, "bag_cut")?;
    let cuts = counts
        .into_iter()
        .map(|count| {
            let mut template = Template::of_inputs(1);
            template.literals.push(count.into_pyobject(py)?.into_any().unbind());
            template.args.push(Arg::Literal(0));
            let call = Arc::new(PyCall::new(function.clone(), template));
            Ok((Step { call, extras: Default::default(), listed: true, native: None }, count))
        })
        .collect::<PyResult<_>>()?;
    Ok(bag_of(SplitExpr::expr(expr, cuts)))
}

fn call_step(function: &Bound<'_, PyAny>, args: &[Option<&Bound<'_, PyAny>>], n_extras: u32) -> Step {
    let mut template = Template::default();
    let mut input = 0;
    for arg in args {
        match arg {
            Some(literal) => {
                template.args.push(Arg::Literal(crate::template::index_of(template.literals.len())));
                template.literals.push((*literal).clone().unbind());
            }
            None => {
                template.args.push(Arg::Input(input));
                input += 1;
            }
        }
    }
    let call = Arc::new(PyCall::new(Function::of(function), template));
    Step { call, extras: (0..n_extras).collect(), listed: false, native: None }
}

/// Moves elements to `n` partitions: `scatter(key, n, partition)` answers a list
/// of pieces, `gather(key, pieces)` makes a partition of them.
#[pyfunction]
#[pyo3(signature = (base, key, scatter, gather, n, label = "groupby"))]
fn bag_shuffle(
    base: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    scatter: &Bound<'_, PyAny>,
    gather: &Bound<'_, PyAny>,
    n: u32,
    label: &str,
) -> PyResult<PyExpr> {
    let py = base.py();
    if n == 0 {
        return Err(PyValueError::new_err("a bag has at least one partition"));
    }
    let expr = expr_of(base)?;
    let count = n.into_pyobject(py)?.into_any();
    let token = key_of("bag.shuffle", (base, key, scatter, gather, n).into_pyobject(py)?.as_any())?;
    let annotations = current_annotations(py)?;
    let described =
        |function: &Bound<'_, PyAny>| native_call(function, &(key, &count, base).into_pyobject(py).ok()?, None, base);
    let scatter = Step { native: described(scatter), ..call_step(scatter, &[Some(key), Some(&count), None], 0) };
    let gather = Step { native: described(gather), ..call_step(gather, &[Some(key), None], 0) };
    let n_tasks = partitions_of(&expr).unwrap_or(1);
    let scattered = Pipe::expr(PipeExpr {
        key: KeyHasher::new("bag.scatter").key(token).finish(),
        label: Arc::from(format!("{label}-scatter")),
        from: Origin::Partition,
        steps: vec![scatter],
        inputs: vec![expr].into(),
        n: Some(n_tasks),
        cut: Some(Cut::Made(n)),
        annotations: annotations.clone(),
    });
    Ok(bag_of(Pipe::expr(PipeExpr {
        key: KeyHasher::new("bag.gather").key(token).finish(),
        label: Arc::from(label),
        from: Origin::Pieces { pieces: n, partitions: crate::template::index_of(n_tasks) },
        steps: vec![gather],
        inputs: vec![scattered].into(),
        n: Some(n as usize),
        cut: None,
        annotations,
    })))
}

/// Goes through partitions in order: `scan(binop, partition, state)` answers the
/// new partition and the state for the next; the first state is `initial`.
#[pyfunction]
fn bag_scan(
    base: &Bound<'_, PyAny>,
    label: &str,
    scan: &Bound<'_, PyAny>,
    binop: &Bound<'_, PyAny>,
    initial: &Bound<'_, PyAny>,
) -> PyResult<PyExpr> {
    let token = key_of("bag.scan", (label, scan, binop, initial).into_pyobject(base.py())?.as_any())?;
    let first = call_step(scan, &[Some(binop), None, Some(initial)], 0);
    let next = call_step(scan, &[Some(binop), None, None], 1);
    Ok(bag_of(ScanExpr::expr(expr_of(base)?, token, Arc::from(label), first, next)))
}

/// Any lazy thing as a single value.
#[pyfunction]
fn bag_item(value: &Bound<'_, PyAny>) -> PyResult<PyExpr> {
    match lazy_of(value)? {
        Some(lazy) => Ok(item_of(lazy.whole().or_raise()?)),
        None => Err(PyTypeError::new_err(format!("a lazy value is needed, got {}", value.get_type().name()?))),
    }
}

/// How many partitions a bag has.
#[pyfunction]
fn bag_npartitions(base: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(partitions_of(&expr_of(base)?).unwrap_or(1))
}

/// The partitions as delayed values, of the plan as it will run if wished.
#[pyfunction]
fn bag_delayed<'py>(base: &Bound<'py, PyAny>, optimize: bool) -> PyResult<Vec<Bound<'py, Delayed>>> {
    let py = base.py();
    let mut expr = expr_of(base)?;
    let n = partitions_of(&expr).unwrap_or(1);
    if optimize {
        let mut roots = oxidask_core::optimize(std::slice::from_ref(&expr)).or_raise()?;
        expr = roots.pop().unwrap_or(expr);
    }
    (0..n).map(|block| Delayed::of_block(py, expr.clone(), block)).collect()
}

/// A bag or item as bytes; [`bag_loads`] is the inverse.
#[pyfunction]
fn bag_dumps<'py>(base: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyBytes>, String, String)> {
    let py = base.py();
    let expr = expr_of(base)?;
    let label = expr.label().into_owned();
    let key = expr.key().to_string();
    let (graph, _) = base::graph_of(&[Lazy { expr, collection: None }], true).or_raise()?;
    Ok((PyBytes::new(py, &travel::encode(&graph).or_raise()?), label, key))
}

/// Rebuilds what [`bag_dumps`] made.
#[pyfunction]
fn bag_loads(form: &[u8], label: &str, key: &str, n: usize, item: bool) -> PyResult<PyExpr> {
    let key =
        u128::from_str_radix(key, 16).map(Key).map_err(|_| PyValueError::new_err(format!("'{key}' is no key")))?;
    let graph: ExprRef = Arc::new(travel::decode(form, label).or_raise()?);
    Ok(made(expr::Carried::expr(key, graph, (!item).then_some(BagMeta::of(n))), item))
}
