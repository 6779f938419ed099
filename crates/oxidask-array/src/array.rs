//! The lazy array: building expressions, checked at the line that builds them.

use crate::block::{Block, Dims, contiguous_strides};
use crate::chunks::{ChunkSpec, Chunks, broadcast_shapes, common_borders, normalize, shape_text};
use crate::copy::copy_into;
use crate::dtype::{DType, Element, Scalar};
use crate::expr::blockwise::Blockwise;
use crate::expr::body::AxisMap;
use crate::expr::concatenate::Concatenate;
use crate::expr::map_blocks::MapBlocks;
use crate::expr::place::{in_place, whole_of};
use crate::expr::rechunk::Rechunk;
use crate::expr::reshape::{Reshape, matched};
use crate::expr::slice::Slice;
use crate::expr::source::Source;
use crate::expr::{ArrayMeta, meta_of};
use crate::index::{Index, Pick, Range, axis_in, resolve};
use crate::program::Program;
use crate::ufunc::{self, Argument};
use oxidask_core::{Error, Executor, ExprRef, Key, Op, Result, Value};
use std::sync::Arc;

/// A lazy array; cheap to clone.
#[derive(Clone)]
pub struct Array {
    expr: ExprRef,
    meta: ArrayMeta,
}

/// What a function of arrays may be applied to.
#[derive(Clone)]
pub enum Operand {
    /// An array.
    Array(Array),
    /// A number.
    Scalar(Scalar),
}

impl From<&Array> for Operand {
    fn from(array: &Array) -> Self {
        Operand::Array(array.clone())
    }
}

impl From<Array> for Operand {
    fn from(array: Array) -> Self {
        Operand::Array(array)
    }
}

macro_rules! operand_from {
    ($($type:ty),*) => {
        $(impl From<$type> for Operand {
            fn from(scalar: $type) -> Self {
                Operand::Scalar(scalar.into())
            }
        })*
    };
}
operand_from!(bool, i32, i64, u32, u64, f64, Scalar);

impl Operand {
    fn argument(&self) -> Argument {
        match self {
            Operand::Array(array) => Argument::Array(array.dtype()),
            Operand::Scalar(scalar) => Argument::Scalar(*scalar),
        }
    }
}

impl Array {
    /// The array of an expression.
    ///
    /// # Errors
    /// If the expression is not one of an array.
    pub fn from_expr(expr: ExprRef) -> Result<Self> {
        let meta = meta_of(&expr)?.clone();
        Ok(Array { expr, meta })
    }

    /// An array of nodes that this crate has made.
    pub(crate) fn of(expr: ExprRef) -> Self {
        Array::from_expr(expr).expect("our own nodes are arrays")
    }

    /// An array of a block in memory, which is shared and not copied.
    ///
    /// # Errors
    /// If the chunks do not fit the shape.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let block = Block::from_vec(vec![1.0, 2.0, 3.0], &[3]);
    /// let x = Array::from_block(block, &[ChunkSpec::Size(2)])?;
    /// assert_eq!(x.chunks().n_blocks(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_block(block: Block, chunks: &[ChunkSpec]) -> Result<Self> {
        Array::from_named_block(block, chunks, None)
    }

    /// As [`Array::from_block`], with a name for the content, which is then not
    /// hashed; equal names must mean equal content.
    ///
    /// # Errors
    /// If the chunks do not fit the shape.
    pub fn from_named_block(block: Block, chunks: &[ChunkSpec], name: Option<Key>) -> Result<Self> {
        let chunks = normalize(chunks, block.shape(), block.dtype(), None)?;
        Ok(Array::of(Source::build(block, chunks, name)?))
    }

    /// An array whose blocks an operation makes from nothing but their number,
    /// such as a reader of files. See [`Array::map_blocks`].
    ///
    /// # Errors
    /// If the numbers of blocks do not match, which cannot be without inputs.
    pub fn from_op(op: Arc<dyn Op>, op_key: Key, meta: ArrayMeta) -> Result<Self> {
        Ok(Array::of(MapBlocks::build(op, op_key, Vec::new(), Vec::new(), meta, None)?))
    }

    /// An array whose blocks `op` makes from the blocks at the same place of
    /// the inputs. `axes` say which axis of the result each axis of each input
    /// follows; without them the last axes are matched. An axis with a single
    /// block repeats it. The op answers a [`Block`] of the shape and dtype that
    /// `meta` announces for it; equal `op_key`s must mean equal operations.
    ///
    /// # Errors
    /// If the inputs' numbers of blocks do not match those of `meta`.
    pub fn map_blocks(
        op: Arc<dyn Op>,
        op_key: Key,
        inputs: &[Array],
        axes: Option<Vec<AxisMap>>,
        meta: ArrayMeta,
    ) -> Result<Self> {
        let ndim = meta.chunks.ndim();
        let last_axes = |input: &Array| {
            (0..input.ndim()).map(|own| (own + ndim).checked_sub(input.ndim()).map(|axis| axis as u8)).collect()
        };
        let axes = axes.unwrap_or_else(|| inputs.iter().map(last_axes).collect());
        let inputs = inputs.iter().map(|input| input.expr.clone()).collect();
        Ok(Array::of(MapBlocks::build(op, op_key, inputs, axes, meta, None)?))
    }

    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &ExprRef {
        &self.expr
    }

    /// Shape, chunks and dtype.
    #[must_use]
    pub fn meta(&self) -> &ArrayMeta {
        &self.meta
    }

    /// The chunks.
    #[must_use]
    pub fn chunks(&self) -> &Chunks {
        &self.meta.chunks
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.meta.dtype
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> Dims {
        self.meta.shape()
    }

    /// Number of dimensions.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.meta.chunks.ndim()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().iter().fold(1, |n: usize, &length| n.saturating_mul(length))
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all elements, were they computed.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        (self.len() as u64).saturating_mul(self.dtype().itemsize() as u64)
    }

    /// The elementwise function with NumPy's name; see [`ufunc::UFUNCS`].
    ///
    /// # Errors
    /// If there is no such function, it has no meaning for the dtypes, or the
    /// shapes do not broadcast.
    pub fn apply(name: &str, operands: &[Operand]) -> Result<Array> {
        let arguments: Vec<Argument> = operands.iter().map(Operand::argument).collect();
        let program = ufunc::find(name)?.program(&arguments)?;
        Array::elementwise(name, program, operands)
    }

    /// A program over the arrays among the operands.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    pub fn elementwise(label: &str, program: Program, operands: &[Operand]) -> Result<Array> {
        let arrays: Vec<&Array> = operands
            .iter()
            .filter_map(|operand| match operand {
                Operand::Array(array) => Some(array),
                Operand::Scalar(_) => None,
            })
            .collect();
        let (arrays, chunks) = unify(&arrays)?;
        let inputs: Vec<(&ExprRef, AxisMap)> =
            arrays.iter().map(|array| (&array.expr, broadcast_axes(array, &chunks))).collect();
        Ok(Array::of(Blockwise::over(label, program, &inputs, chunks)))
    }

    /// `where(condition, x, y)`: elements of `x` where the condition holds,
    /// else of `y`.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    pub fn select(condition: &Operand, x: &Operand, y: &Operand) -> Result<Array> {
        let program = ufunc::where_program(condition.argument(), x.argument(), y.argument())?;
        Array::elementwise("where", program, &[condition.clone(), x.clone(), y.clone()])
    }

    /// Elements below `low` or above `high` replaced by the bound.
    ///
    /// # Errors
    /// If there is no bound, or the shapes do not broadcast.
    pub fn clip(&self, low: Option<Operand>, high: Option<Operand>) -> Result<Array> {
        let program = ufunc::clip_program(
            Argument::Array(self.dtype()),
            low.as_ref().map(Operand::argument),
            high.as_ref().map(Operand::argument),
        )?;
        let operands: Vec<Operand> = [Some(self.into()), low, high].into_iter().flatten().collect();
        Array::elementwise("clip", program, &operands)
    }

    /// The elements converted to another dtype.
    ///
    /// # Errors
    /// If there is no conversion between the dtypes.
    pub fn astype(&self, dtype: DType) -> Result<Array> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        let axes = straight_axes(self.ndim());
        let program = ufunc::cast_program(self.dtype(), dtype)?;
        Ok(Array::of(Blockwise::over("astype", program, &[(&self.expr, axes)], self.chunks().clone())))
    }

    /// A view of this array: axis i of the result is axis `axes[i]` of this
    /// array, or a repetition where there is none, along the given borders.
    fn viewed(&self, label: &str, axes: &[Option<usize>], repeated: impl Fn(usize) -> Arc<[usize]>) -> Array {
        let map: AxisMap = axes.iter().map(|axis| axis.map(|axis| axis as u8)).collect();
        let borders = axes
            .iter()
            .enumerate()
            .map(|(axis, from)| from.map_or_else(|| repeated(axis), |from| self.chunks().borders(from).clone()));
        let chunks = Chunks::from_borders(borders);
        Array::of(Blockwise::over(label, Program::identity(self.dtype()), &[(&self.expr, map)], chunks))
    }

    /// The array with its axes in another order.
    ///
    /// # Errors
    /// If `axes` does not name every axis once.
    pub fn transpose(&self, axes: &[i64]) -> Result<Array> {
        let found = axes.iter().map(|&axis| axis_in(axis, self.ndim())).collect::<Result<Vec<usize>>>()?;
        let mut sorted = found.clone();
        sorted.sort_unstable();
        if sorted != (0..self.ndim()).collect::<Vec<usize>>() {
            return Err(Error::value(format!(
                "the axes {axes:?} do not name each axis of an array of shape {} once",
                shape_text(&self.shape())
            )));
        }
        let axes: Vec<Option<usize>> = found.into_iter().map(Some).collect();
        Ok(self.viewed("transpose", &axes, |_| [0, 1].into()))
    }

    /// The array with its axes reversed.
    #[must_use]
    pub fn t(&self) -> Array {
        let axes: Vec<Option<usize>> = (0..self.ndim()).rev().map(Some).collect();
        self.viewed("transpose", &axes, |_| [0, 1].into())
    }

    /// New axes of length one at the given places of the result, ascending.
    #[must_use]
    fn with_new_axes(&self, new_axes: &[usize]) -> Array {
        if new_axes.is_empty() {
            return self.clone();
        }
        let mut own = 0..self.ndim();
        let axes: Vec<Option<usize>> = (0..self.ndim() + new_axes.len())
            .map(|axis| if new_axes.contains(&axis) { None } else { own.next() })
            .collect();
        self.viewed("expand_dims", &axes, |_| [0, 1].into())
    }

    /// A new axis of length one before each of the given axes of the result.
    ///
    /// # Errors
    /// If an axis is out of range or named twice.
    pub fn expand_dims(&self, axes: &[i64]) -> Result<Array> {
        let found = crate::index::axes_in(Some(axes), self.ndim() + axes.len())?;
        Ok(self.with_new_axes(&found))
    }

    /// Without the given axes, which have length one; without all such axes if
    /// none are given.
    ///
    /// # Errors
    /// If an axis is out of range or longer.
    pub fn squeeze(&self, axes: Option<&[i64]>) -> Result<Array> {
        let shape = self.shape();
        let dropped = match axes {
            Some(axes) => crate::index::axes_in(Some(axes), self.ndim())?,
            None => (0..self.ndim()).filter(|&axis| shape[axis] == 1).collect(),
        };
        if let Some(&axis) = dropped.iter().find(|&&axis| shape[axis] != 1) {
            return Err(Error::value(format!(
                "cannot squeeze axis {axis} of length {} (shape {})",
                shape[axis],
                shape_text(&shape)
            )));
        }
        let picks = (0..self.ndim())
            .map(|axis| if dropped.contains(&axis) { Pick::At(0) } else { Pick::Range(Range::full(shape[axis])) })
            .collect();
        Ok(Array::of(Slice::build(&self.expr, picks)?))
    }

    /// The array repeated along new and length-one axes to a larger shape.
    ///
    /// # Errors
    /// If the array does not broadcast to the shape, or the chunks do not fit.
    pub fn broadcast_to(&self, shape: &[usize], chunks: Option<&[ChunkSpec]>) -> Result<Array> {
        let own = self.shape();
        if broadcast_shapes(&[&own, shape])?.as_slice() != shape {
            return Err(Error::value(format!(
                "an array of shape {} does not broadcast to {}",
                shape_text(&own),
                shape_text(shape)
            )));
        }
        let skipped = shape.len() - self.ndim();
        let axes: Vec<Option<usize>> = (0..shape.len())
            .map(|axis| axis.checked_sub(skipped).filter(|&own_axis| own[own_axis] == shape[axis]))
            .collect();
        if shape.contains(&crate::chunks::UNKNOWN) {
            self.chunks().check_known("broadcast_to")?;
        }
        let wanted = match chunks {
            Some(chunks) => normalize(chunks, shape, self.dtype(), None)?,
            None => Chunks::whole(shape),
        };
        Ok(self.viewed("broadcast_to", &axes, |axis| wanted.borders(axis).clone()))
    }

    /// Basic indexing: positions, slices with steps, new axes, an ellipsis.
    ///
    /// # Errors
    /// If a position is out of bounds or there are too many entries.
    ///
    /// ```
    /// use oxidask_array::{creation, s, DType, Index};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = creation::zeros(&[10, 20], DType::F64, &[5.into()])?;
    /// assert_eq!(x.slice(&s![-1, (.., -2)])?.shape().as_slice(), [10]);
    /// assert!(x.slice(&s![10]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn slice(&self, index: &[Index]) -> Result<Array> {
        let resolved = resolve(index, &self.shape())?;
        Ok(Array::of(Slice::build(&self.expr, resolved.picks)?).with_new_axes(&resolved.new_axes))
    }

    /// The same elements in other chunks.
    ///
    /// # Errors
    /// If the chunks do not fit the shape.
    pub fn rechunk(&self, chunks: &[ChunkSpec]) -> Result<Array> {
        let chunks = normalize(chunks, &self.shape(), self.dtype(), Some(self.chunks()))?;
        Ok(Array::of(Rechunk::build(&self.expr, chunks)?))
    }

    /// The same elements in exactly these chunks, whose shape is that of the
    /// array.
    pub(crate) fn with_chunks(&self, chunks: &Chunks) -> Array {
        Array::of(Rechunk::build(&self.expr, chunks.clone()).expect("an array is an array"))
    }

    /// The same elements in C order in another shape; one length may be -1.
    ///
    /// # Errors
    /// If the numbers of elements differ.
    pub fn reshape(&self, shape: &[i64]) -> Result<Array> {
        if shape == [-1] && self.ndim() == 1 {
            return Ok(self.clone());
        }
        self.chunks().check_known("reshape")?;
        let shape = complete_shape(shape, &self.shape())?;
        if shape == self.shape() {
            return Ok(self.clone());
        }
        if self.is_empty() {
            return crate::creation::zeros(&shape, self.dtype(), &[ChunkSpec::Whole]);
        }
        let plan = matched(self.chunks(), &shape);
        Ok(Array::of(Reshape::build(&self.with_chunks(&plan.input).expr, plan.output)?))
    }

    /// Arrays one after another along an axis.
    ///
    /// # Errors
    /// If there are none, or their shapes differ along another axis.
    pub fn concatenate(arrays: &[Array], axis: i64) -> Result<Array> {
        let first = arrays.first().ok_or_else(|| Error::value("concatenate needs at least one array"))?;
        let axis = axis_in(axis, first.ndim())?;
        let shape = first.shape();
        for array in arrays {
            let other = array.shape();
            let fits = other.len() == shape.len() && (0..shape.len()).all(|i| i == axis || other[i] == shape[i]);
            if !fits {
                return Err(Error::value(format!(
                    "arrays of shapes {} and {} cannot be concatenated along axis {axis}",
                    shape_text(&shape),
                    shape_text(&other)
                )));
            }
        }
        let dtype = arrays.iter().map(Array::dtype).reduce(DType::promote).unwrap_or(first.dtype());
        let common: Vec<Arc<[usize]>> = (0..first.ndim())
            .map(|other| match other == axis {
                true => Ok(first.chunks().borders(axis).clone()),
                false => common_borders(&arrays.iter().map(|array| array.chunks().borders(other)).collect::<Vec<_>>()),
            })
            .collect::<Result<_>>()?;
        let inputs = arrays
            .iter()
            .map(|array| {
                let borders = (0..array.ndim())
                    .map(|other| if other == axis { array.chunks().borders(other) } else { &common[other] }.clone());
                Ok(array.astype(dtype)?.with_chunks(&Chunks::from_borders(borders)).expr)
            })
            .collect::<Result<_>>()?;
        Ok(Array::of(Concatenate::build(inputs, axis)?))
    }

    /// Arrays of one shape side by side along a new axis.
    ///
    /// # Errors
    /// If there are none or their shapes differ.
    pub fn stack(arrays: &[Array], axis: i64) -> Result<Array> {
        let first = arrays.first().ok_or_else(|| Error::value("stack needs at least one array"))?;
        if let Some(other) = arrays.iter().find(|array| array.shape() != first.shape()) {
            return Err(Error::value(format!(
                "arrays of shapes {} and {} cannot be stacked",
                shape_text(&first.shape()),
                shape_text(&other.shape())
            )));
        }
        let axis = axis_in(axis, first.ndim() + 1)?;
        let expanded: Vec<Array> = arrays.iter().map(|array| array.with_new_axes(&[axis])).collect();
        Array::concatenate(&expanded, axis as i64)
    }

    /// The array in a single block.
    #[must_use]
    pub fn whole(&self) -> Array {
        self.with_chunks(&Chunks::whole(&self.shape()))
    }

    /// Computes the array and answers it as one block.
    ///
    /// # Errors
    /// The error of a task.
    pub fn compute(&self, executor: &dyn Executor) -> Result<Block> {
        let roots = oxidask_core::optimize(std::slice::from_ref(&self.expr))?;
        let roots: Vec<ExprRef> = roots.into_iter().map(|root| in_place(root, executor)).collect();
        let (graph, _) = oxidask_core::lower(&roots)?;
        assemble(&self.meta, &executor.compute(graph, &|| Ok(()))?)
    }

    /// The plan as text, after optimising.
    ///
    /// # Errors
    /// If the plan cannot be made.
    pub fn explain(&self) -> Result<String> {
        let roots = oxidask_core::optimize(std::slice::from_ref(&self.expr))?;
        Ok(roots.iter().map(oxidask_core::optimize::plan_text).collect())
    }
}

/// The blocks of an array as one block; they may have been placed already (see
/// [`in_place`]).
///
/// # Errors
/// If blocks are missing or have other shapes or dtypes than announced.
pub fn assemble(meta: &ArrayMeta, values: &[Value]) -> Result<Block> {
    if let Some(whole) = whole_of(values) {
        return Ok(whole);
    }
    let blocks = values.iter().map(|value| value.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
    if blocks.len() != meta.chunks.n_blocks() {
        return Err(Error::value(format!("an array of {} blocks got {}", meta.chunks.n_blocks(), blocks.len())));
    }
    let shapes: Vec<&[usize]> = blocks.iter().map(|block| block.shape()).collect();
    let chunks = meta.chunks.measured(&shapes)?;
    if let Some(block) = blocks.iter().find(|block| block.dtype() != meta.dtype) {
        return Err(Error::type_(format!("a block of {} arrived where {} was announced", block.dtype(), meta.dtype))
            .with_hint("a function given to map_blocks must return the announced dtype"));
    }
    if let [block] = blocks[..] {
        return Ok(block.clone());
    }
    let shape = chunks.shape();
    let strides = contiguous_strides(&shape);
    let itemsize = meta.dtype.itemsize() as isize;
    let fill = |whole: *mut u8| {
        for (number, block) in blocks.iter().enumerate() {
            let start = chunks.block_start(&chunks.coordinates(number));
            let offset: isize = start.iter().zip(&strides).map(|(&start, stride)| start as isize * stride).sum();
            if !block.is_empty() {
                // SAFETY: every block was measured to have the shape of its place.
                unsafe { copy_into(block, whole.offset(offset * itemsize), &strides) };
            }
        }
        Ok(())
    };
    // SAFETY: the blocks tile the whole array.
    unsafe { Block::filled(meta.dtype, &shape, fill) }
}

/// The elements of a computed array, in C order.
///
/// # Errors
/// The error of a task, or if the array has another dtype.
pub fn compute_vec<T: Element>(array: &Array, executor: &dyn Executor) -> Result<Vec<T>> {
    array.compute(executor)?.to_vec()
}

fn straight_axes(ndim: usize) -> AxisMap {
    (0..ndim).map(|axis| Some(axis as u8)).collect()
}

/// How the axes of an array lie below those of a result it broadcasts to.
fn broadcast_axes(array: &Array, chunks: &Chunks) -> AxisMap {
    let skipped = chunks.ndim() - array.ndim();
    (0..chunks.ndim())
        .map(|axis| {
            let own = axis.checked_sub(skipped)?;
            (array.chunks().length(own) == chunks.length(axis)).then_some(own as u8)
        })
        .collect()
}

/// Arrays rechunked so that their blocks lie on one another, and the chunks of
/// what they broadcast to.
///
/// # Errors
/// If the shapes do not broadcast.
pub fn unify(arrays: &[&Array]) -> Result<(Vec<Array>, Chunks)> {
    let shapes: Vec<Dims> = arrays.iter().map(|array| array.shape()).collect();
    let shape = broadcast_shapes(&shapes.iter().map(Dims::as_slice).collect::<Vec<_>>())?;
    let borders: Vec<Arc<[usize]>> = (0..shape.len())
        .map(|axis| {
            let along: Vec<&Arc<[usize]>> = arrays
                .iter()
                .filter_map(|array| {
                    let own = axis.checked_sub(shape.len() - array.ndim())?;
                    (array.chunks().length(own) == shape[axis]).then(|| array.chunks().borders(own))
                })
                .collect();
            if along.is_empty() { Ok([0, 1].into()) } else { common_borders(&along) }
        })
        .collect::<Result<_>>()?;
    let chunks = Chunks::from_borders(borders);
    let unified = arrays
        .iter()
        .map(|array| {
            let axes = broadcast_axes(array, &chunks);
            let skipped = shape.len() - array.ndim();
            let own = (0..array.ndim()).map(|own| match axes[own + skipped] {
                Some(_) => chunks.borders(own + skipped).clone(),
                None => array.chunks().borders(own).clone(),
            });
            array.with_chunks(&Chunks::from_borders(own))
        })
        .collect();
    Ok((unified, chunks))
}

/// A shape in which one length may be -1.
fn complete_shape(shape: &[i64], old: &[usize]) -> Result<Dims> {
    let n: usize = old.iter().product();
    let known: usize = shape.iter().filter(|&&length| length >= 0).map(|&length| length as usize).product();
    let mismatch =
        || Error::value(format!("an array of shape {} has {n} elements and cannot become {shape:?}", shape_text(old)));
    let n_open = shape.iter().filter(|&&length| length < 0).count();
    if n_open > 1 || shape.iter().any(|&length| length < -1) {
        return Err(Error::value(format!("only one length of a shape may be -1, unlike in {shape:?}")));
    }
    let open = match n_open {
        0 if known != n => return Err(mismatch()),
        0 => 0,
        _ if known == 0 || !n.is_multiple_of(known) => return Err(mismatch()),
        _ => n / known,
    };
    Ok(shape.iter().map(|&length| if length < 0 { open } else { length as usize }).collect())
}

/// Methods for the functions that have an operator or are common.
macro_rules! methods {
    (binary: $($name:ident => $ufunc:literal),* ; unary: $($unary:ident => $unary_ufunc:literal),*) => {
        impl Array {
            $(#[doc = concat!("NumPy's `", $ufunc, "` with an array or a number.\n\n# Errors\nIf the shapes do not broadcast or the dtypes do not allow it.")]
            pub fn $name(&self, other: impl Into<Operand>) -> Result<Array> {
                Array::apply($ufunc, &[self.into(), other.into()])
            })*
            $(#[doc = concat!("NumPy's `", $unary_ufunc, "`.\n\n# Errors\nIf the dtype does not allow it.")]
            pub fn $unary(&self) -> Result<Array> {
                Array::apply($unary_ufunc, &[self.into()])
            })*
        }
    };
}
methods! {
    binary: add => "add", sub => "subtract", mul => "multiply", div => "divide", floor_div => "floor_divide",
        rem => "remainder", pow => "power", maximum => "maximum", minimum => "minimum",
        eq => "equal", ne => "not_equal", lt => "less", le => "less_equal", gt => "greater", ge => "greater_equal",
        and => "bitwise_and", or => "bitwise_or", xor => "bitwise_xor";
    unary: neg => "negative", abs => "absolute", sqrt => "sqrt", square => "square", exp => "exp", log => "log",
        sin => "sin", cos => "cos", tan => "tan", tanh => "tanh", isnan => "isnan", invert => "invert"
}

/// Operators for arrays whose shapes and dtypes are known to fit.
macro_rules! operators {
    ($($trait:ident, $method:ident, $name:ident);*) => {
        $(impl<T: Into<Operand>> std::ops::$trait<T> for &Array {
            type Output = Array;

            /// # Panics
            /// If the shapes do not broadcast or the dtypes do not allow it; the
            /// method of the same meaning answers an error instead.
            fn $method(self, other: T) -> Array {
                Array::$name(self, other).unwrap_or_else(|error| panic!("{error}"))
            }
        })*
    };
}
operators! {
    Add, add, add;
    Sub, sub, sub;
    Mul, mul, mul;
    Div, div, div;
    Rem, rem, rem
}
