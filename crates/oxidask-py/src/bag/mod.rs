//! Bags for Python: partitions are lists, the work is calls of Python functions.
//!
//! The Python layer says which function is called with which arguments; here
//! that becomes nodes ([`expr`]) whose tasks run a [`pipe::PipeOp`].

mod avro;
mod cells;
mod expr;
mod native;
mod pipe;
mod steps;
mod text;

use crate::base::{Collection, Lazy, PyExpr, lazy_of};
use crate::call::{Function, PyCall};
use crate::delayed::{Delayed, current_annotations, random_key};
use crate::error::OrRaise;
use crate::template::{Arg, Builder, Template};
use crate::value::{from_value, to_value};
use crate::{base, travel};
use expr::{BagMeta, Origin, Pipe, PipeExpr, ScanExpr, SelectExpr, ShuffleExpr, SourceExpr, SplitExpr, partitions_of};

use native::{Native, native_of};
use oxidask_core::{Error, ExprRef, Key, KeyHasher, Result, Value};
use oxidask_io::{Block, BlockOptions, Compression, Location, StorageOptions};
use pipe::Step;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple};
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    steps::register(module)?;
    avro::register(module)?;
    module.add_function(wrap_pyfunction!(bag_source, module)?)?;
    module.add_function(wrap_pyfunction!(bag_text, module)?)?;
    module.add_function(wrap_pyfunction!(bag_file_blocks, module)?)?;
    module.add_function(wrap_pyfunction!(bag_read_block, module)?)?;
    module.add_function(wrap_pyfunction!(bag_write_file, module)?)?;
    module.add_function(wrap_pyfunction!(bag_files_token, module)?)?;
    module.add_function(wrap_pyfunction!(bag_expand, module)?)?;
    module.add_function(wrap_pyfunction!(bag_pipe, module)?)?;
    module.add_function(wrap_pyfunction!(bag_reduce, module)?)?;
    module.add_function(wrap_pyfunction!(bag_concat, module)?)?;
    module.add_function(wrap_pyfunction!(bag_select, module)?)?;
    module.add_function(wrap_pyfunction!(bag_split, module)?)?;
    module.add_function(wrap_pyfunction!(bag_shuffle, module)?)?;
    module.add_function(wrap_pyfunction!(bag_scan, module)?)?;
    module.add_function(wrap_pyfunction!(bag_item, module)?)?;
    module.add_function(wrap_pyfunction!(bag_npartitions, module)?)?;
    module.add_function(wrap_pyfunction!(bag_delayed, module)?)?;
    module.add_function(wrap_pyfunction!(bag_dumps, module)?)?;
    module.add_function(wrap_pyfunction!(bag_gather, module)?)?;
    module.add_function(wrap_pyfunction!(bag_loads, module)?)
}

/// Bags: the result is the list of all elements.
struct BagCollection;

impl Collection for BagCollection {
    fn finish(&self, py: Python<'_>, _expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        let parts: Vec<Bound<'_, PyAny>> =
            blocks.iter().map(|value| Ok(from_value(py, value)?.into_bound(py))).collect::<PyResult<_>>()?;
        Ok(gathered(py, parts)?.unbind())
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        let n = partitions_of(expr).unwrap_or(1);
        Python::attach(|py| {
            let step = own_step(py, "bag_gather")?;
            let key = KeyHasher::new("bag.whole").key(expr.key()).finish();
            Ok(Pipe::expr(PipeExpr {
                key,
                label: Arc::from("gather"),
                from: Origin::Groups(vec![(0, crate::template::index_of(n))]),
                steps: vec![step],
                inputs: vec![expr.clone()].into(),
                n: None,
                annotations: None,
            }))
        })
        .map_err(|error: PyErr| Error::value(error.to_string()))
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        static BAG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let bag = BAG.import(py, "oxidask.bag.core", "Bag")?.call_method1(intern!(py, "_over"), (bag_of(expr),))?;
        Ok(bag.unbind())
    }

    fn scheduler(&self) -> &'static str {
        PROCESSES
    }
}

/// Functions of bags are their user's and hold Python's lock.
const PROCESSES: &str = "processes";

/// Single values of bags: the result is the value.
struct ItemCollection;

impl Collection for ItemCollection {
    fn finish(&self, py: Python<'_>, _expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        match &blocks[..] {
            [value] => from_value(py, value),
            _ => Err(PyValueError::new_err("a single value was computed in several blocks")),
        }
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        Ok(expr.clone())
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        static ITEM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let item = ITEM.import(py, "oxidask.bag.core", "Item")?.call_method1(intern!(py, "_over"), (item_of(expr),))?;
        Ok(item.unbind())
    }

    fn scheduler(&self) -> &'static str {
        PROCESSES
    }
}

fn bag_of(expr: ExprRef) -> PyExpr {
    PyExpr::new(expr, Arc::new(BagCollection))
}

fn item_of(expr: ExprRef) -> PyExpr {
    PyExpr::new(expr, Arc::new(ItemCollection))
}

fn made(expr: ExprRef, item: bool) -> PyExpr {
    if item { item_of(expr) } else { bag_of(expr) }
}

/// All elements of all parts as one list; parts that hold no elements, such as
/// numbers that `map_partitions` made, are elements themselves.
fn gathered<'py>(py: Python<'py>, parts: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let holds_elements =
        |part: &Bound<'py, PyAny>| !part.is_instance_of::<PyString>() && PyIterator::from_object(part).is_ok();
    if !parts.first().is_some_and(holds_elements) {
        return Ok(PyList::new(py, parts)?.into_any());
    }
    let all = PyList::empty(py);
    let extend = all.getattr(intern!(py, "extend"))?;
    for part in parts {
        extend.call1((part,))?;
    }
    Ok(all.into_any())
}

/// The elements of a list of parts; see [`gathered`].
#[pyfunction]
fn bag_gather<'py>(parts: Vec<Bound<'py, PyAny>>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    gathered(py, parts)
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
    let values = partitions.iter().map(to_value).collect();
    bag_of(Arc::new(SourceExpr::new(hasher.finish(), Arc::from(label), values)))
}

/// The files of paths and globs.
#[pyfunction]
fn bag_expand(py: Python<'_>, paths: Vec<String>, storage: Vec<(String, String)>) -> PyResult<Vec<String>> {
    let storage: StorageOptions = storage.into_iter().collect();
    py.detach(|| oxidask_io::expand(&paths, &storage)).or_raise()
}

/// How text is read: what does not depend on the files.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct TextWish {
    blocksize: Option<u64>,
    compression: Option<String>,
    delimiter: Option<String>,
    delimiter_bytes: Vec<u8>,
    encoding: (String, String, u8, bool),
    include_path: bool,
    files_per_partition: Option<usize>,
    storage: Vec<(String, String)>,
}

/// The compression that a user named; none infers it from each file's name.
fn compression_of(name: Option<&str>) -> PyResult<Option<Compression>> {
    match name {
        Some("infer") => Ok(None),
        named => Compression::named(named).or_raise().map(Some),
    }
}

/// Adds what tells versions of files apart, so that a file that changed is
/// another source.
fn identified(mut hasher: KeyHasher, files: &[String], storage: &StorageOptions) -> KeyHasher {
    for file in files {
        let identity = Location::parse(file, storage).and_then(|location| location.identity(storage)).ok();
        hasher = hasher.params(&identity);
    }
    hasher
}

/// Lines of files; answers the bag and how many partitions each file has.
#[pyfunction]
fn bag_text(py: Python<'_>, files: Vec<String>, wish: TextWish) -> PyResult<(PyExpr, Vec<usize>)> {
    let storage: StorageOptions = wish.storage.into_iter().collect();
    let (name, errors, unit, is_stateless) = wish.encoding;
    let options = BlockOptions {
        block_bytes: wish.blocksize,
        compression: compression_of(wish.compression.as_deref())?,
        delimiter: wish.delimiter_bytes.clone(),
        unit,
    };
    let blocks = py.detach(|| oxidask_io::plan(&files, &options, &storage)).or_raise()?;
    let counts = blocks.iter().map(Vec::len).collect();
    let partitions: Vec<Vec<Block>> = match wish.files_per_partition {
        Some(0) => return Err(PyValueError::new_err("files_per_partition must be at least 1")),
        Some(n) => blocks.chunks(n).map(<[Vec<Block>]>::concat).collect(),
        None => blocks.into_iter().flatten().map(|block| vec![block]).collect(),
    };
    let source = text::TextSource {
        partitions,
        delimiter_bytes: wish.delimiter_bytes,
        delimiter: wish.delimiter,
        encoding: text::Encoding { name, errors, unit, is_stateless },
        include_path: wish.include_path,
    };
    let hasher = KeyHasher::new("bag.text").params(&source);
    let hasher = py.detach(|| identified(hasher, &files, &storage));
    let pipe = PipeExpr {
        key: hasher.finish(),
        label: Arc::from("read_text"),
        n: Some(source.partitions.len()),
        from: Origin::Text(Arc::new(source)),
        steps: Vec::new(),
        inputs: Vec::new().into(),
        annotations: current_annotations(py)?,
    };
    Ok((bag_of(Pipe::expr(pipe)), counts))
}

/// A block of a file, as Python passes it around.
type BlockForm = (String, Vec<(String, String)>, u64, Option<u64>, Option<String>);

fn block_of(form: BlockForm) -> PyResult<Block> {
    let (path, storage, start, end, compression) = form;
    let options = Arc::new(storage.into_iter().collect());
    let compression = match compression_of(compression.as_deref())? {
        Some(compression) => compression,
        None => Compression::inferred(&path).or_raise()?,
    };
    Ok(Block { path: path.into(), options, start, end, compression })
}

/// Where the blocks of a file begin and end.
#[pyfunction]
fn bag_file_blocks(
    py: Python<'_>,
    file: BlockForm,
    block_bytes: Option<u64>,
    delimiter: Vec<u8>,
) -> PyResult<Vec<(u64, Option<u64>)>> {
    let block = block_of(file)?;
    let options = BlockOptions { block_bytes, compression: Some(block.compression), delimiter, unit: 1 };
    let blocks = py.detach(|| oxidask_io::file_blocks(&block.path, &options, &block.options)).or_raise()?;
    Ok(blocks.into_iter().map(|block| (block.start, block.end)).collect())
}

/// The bytes of a block, decompressed, cut at delimiters.
#[pyfunction]
fn bag_read_block<'py>(py: Python<'py>, block: BlockForm, delimiter: Vec<u8>) -> PyResult<Bound<'py, PyBytes>> {
    let block = block_of(block)?;
    let chunk = py.detach(|| block.read(&delimiter, 1)).or_raise()?;
    Ok(PyBytes::new(py, &chunk.bytes))
}

/// Writes a whole file.
#[pyfunction]
fn bag_write_file(
    py: Python<'_>,
    path: &str,
    storage: Vec<(String, String)>,
    compression: Option<&str>,
    content: &[u8],
) -> PyResult<()> {
    let storage: StorageOptions = storage.into_iter().collect();
    let compression = match compression_of(compression)? {
        Some(compression) => compression,
        None => Compression::inferred(path).or_raise()?,
    };
    let location = Location::parse(path, &storage).or_raise()?;
    py.detach(|| {
        let bytes =
            compression.compress(content).map_err(|cause| Error::io(format!("compressing '{path}'"), &cause))?;
        location.write(bytes)
    })
    .or_raise()
}

/// A name for the content of files, which changes when they do.
#[pyfunction]
fn bag_files_token(py: Python<'_>, files: Vec<String>, storage: Vec<(String, String)>) -> String {
    let storage: StorageOptions = storage.into_iter().collect();
    py.detach(|| identified(KeyHasher::new("files"), &files, &storage).finish().to_string())
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
    let step = |function: &Bound<'_, PyAny>| Step {
        call: Arc::new(PyCall::new(Function::of(function), Template::of_inputs(1))),
        extras: Default::default(),
        listed: false,
        native: if item { None } else { native_tree(function) },
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
            annotations: annotations.clone(),
        });
        if is_root {
            break;
        }
    }
    Ok(made(expr, item))
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
fn bag_shuffle(
    base: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    scatter: &Bound<'_, PyAny>,
    gather: &Bound<'_, PyAny>,
    n: u32,
) -> PyResult<PyExpr> {
    let py = base.py();
    if n == 0 {
        return Err(PyValueError::new_err("a bag has at least one partition"));
    }
    let count = n.into_pyobject(py)?.into_any();
    let token = key_of("bag.shuffle", (key, scatter, gather, n).into_pyobject(py)?.as_any())?;
    let scatter = call_step(scatter, &[Some(key), Some(&count), None], 0);
    let gather = call_step(gather, &[Some(key), None], 0);
    Ok(bag_of(ShuffleExpr::expr(expr_of(base)?, token, scatter, gather, n as usize)))
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
    Ok(made(expr::Carried::expr(key, graph, (!item).then_some(BagMeta { n })), item))
}
