//! Runs programs over blocks, tile by tile.
//!
//! A tile is at most [`TILE`] elements, so that all intermediate results of a
//! program stay in the first-level cache and no intermediate array ever exists.
//! What happens to a finished tile is up to a [`Sink`]: it is stored, or folded
//! into a reduction at once.

use crate::block::{Block, Dims, Strides, contiguous_strides};
use crate::copy::{Walk, copy_into, copy_strided, gather, scatter};
use crate::dispatch;
use crate::dtype::{DType, Element};
use crate::generate::Generator;
use crate::kernel::exceptions::Watch;
use crate::kernel::map;
use crate::program::{Program, Slot};
use oxidask_core::Result;

/// Elements of a tile: 8 KiB of the widest dtype.
pub const TILE: usize = 1024;

/// Where an input of a program comes from, laid over the shape that is walked.
pub enum Source<'a> {
    /// A block, whose axes were matched to the walked shape: a stride of zero
    /// repeats an element.
    Block {
        /// The memory.
        block: &'a Block,
        /// Its strides along the walked axes.
        strides: Strides,
    },
    /// Elements made from their position.
    Generate {
        /// What makes them.
        generator: Generator,
        /// The position of the first element.
        start: i64,
        /// How positions change along the walked axes.
        strides: Strides,
    },
}

impl Source<'_> {
    fn strides(&self) -> &Strides {
        match self {
            Source::Block { strides, .. } | Source::Generate { strides, .. } => strides,
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Source::Block { block, .. } => block.dtype(),
            Source::Generate { generator, .. } => generator.dtype(),
        }
    }
}

/// Takes finished tiles.
pub trait Sink {
    /// Takes a stretch of elements. `at` is where its first element belongs in
    /// the sink's own strides and `step` how that changes from one element to
    /// the next; the pointers are those of the asked-for results.
    ///
    /// # Safety
    /// The pointers are valid for reads of `n` elements of the results' dtypes.
    unsafe fn take(&mut self, at: usize, step: isize, results: [*const u8; 2], n: usize);

    /// Where a tile of `n_rows` rows, whose first element belongs at `at`, may be
    /// computed in place, if its elements lie there one after another; it is not
    /// taken then.
    fn place(&mut self, at: usize, n_rows: usize) -> Option<*mut u8> {
        let _ = (at, n_rows);
        None
    }
}

/// Registers of one tile each.
struct Registers {
    memory: Vec<u64>,
    /// Words of one register.
    words: usize,
}

impl Registers {
    /// So many registers, for elements of at most `itemsize` bytes.
    fn new(count: usize, itemsize: usize) -> Self {
        let words = TILE * itemsize.div_ceil(size_of::<u64>());
        Registers { memory: vec![0; count * words], words }
    }

    fn pointer(&mut self, register: usize) -> *mut u8 {
        self.memory[register * self.words..].as_mut_ptr().cast()
    }
}

/// Which register each step writes; registers are used again as soon as nobody
/// reads them any more.
fn assign_registers(program: &Program, results: &[Slot]) -> (Vec<usize>, usize) {
    let steps = program.steps();
    let mut last_use = vec![0; steps.len()];
    for (position, step) in steps.iter().enumerate() {
        for slot in step.args() {
            if let Slot::Step(read) = slot {
                last_use[*read as usize] = position;
            }
        }
    }
    for slot in results {
        if let Slot::Step(read) = slot {
            last_use[*read as usize] = usize::MAX;
        }
    }
    let mut free: Vec<usize> = Vec::new();
    let mut registers = Vec::with_capacity(steps.len());
    let mut count = 0;
    for (position, step) in steps.iter().enumerate() {
        let register = free.pop().unwrap_or_else(|| {
            count += 1;
            count - 1
        });
        registers.push(register);
        let mut ended: Vec<usize> = step
            .args()
            .iter()
            .filter_map(|slot| match slot {
                Slot::Step(read) if last_use[*read as usize] == position => Some(registers[*read as usize]),
                _ => None,
            })
            .collect();
        ended.sort_unstable();
        ended.dedup();
        free.extend(ended);
    }
    (registers, count)
}

/// Runs a program over `shape` and hands its result, and the value of
/// `also` beside it, to a sink. `sink_strides` say where elements belong there.
/// With `reorder`, axes are walked in whatever order reads memory best.
///
/// # Errors
/// Those of the instructions.
pub fn evaluate(
    program: &Program,
    sources: &[Source],
    shape: &[usize],
    also: Option<Slot>,
    sink_strides: &[isize],
    reorder: bool,
    sink: &mut dyn Sink,
) -> Result<()> {
    if shape.contains(&0) {
        return Ok(());
    }
    let mut sets: Vec<&[isize]> = sources.iter().map(|source| source.strides().as_slice()).collect();
    sets.push(sink_strides);
    let walk = Walk::new(shape, &sets, reorder);
    let results = [program.output(), also.unwrap_or(program.output())];
    let mut machine = Machine::new(program, sources, &walk, results);

    let (row, n_sources) = (walk.row(), sources.len());
    let n_rows: usize = walk.shape[..walk.shape.len() - 1].iter().product();
    let rows_at_once = (TILE / row).max(1);
    let mut index = Dims::from_elem(0, walk.shape.len());
    let mut offsets = vec![0_isize; n_sources + 1];
    // The offsets of every row of a tile, row after row.
    let mut starts: Vec<isize> = Vec::with_capacity(rows_at_once * (n_sources + 1));
    let sink_step = walk.inner(n_sources);
    // The last step may write its result where it belongs.
    let ends_in_step = matches!(program.output(), Slot::Step(step) if step as usize + 1 == program.steps().len());

    let mut done = 0;
    while done < n_rows {
        let rows = rows_at_once.min(n_rows - done);
        starts.clear();
        for _ in 0..rows {
            starts.extend_from_slice(&offsets);
            walk.advance(&mut index, &mut offsets);
        }
        done += rows;
        let mut column = 0;
        while column < row {
            let n = TILE.min(row - column).min(row);
            let first = starts[n_sources] + column as isize * sink_step;
            machine.target = if ends_in_step { sink.place(first as usize, rows) } else { None };
            machine.run(&walk, &starts, column, n)?;
            if machine.target.is_some() {
                column += n;
                continue;
            }
            let pointers = results.map(|slot| machine.pointer_of(slot));
            for (i, starts) in starts.chunks_exact(n_sources + 1).enumerate() {
                let at = starts[n_sources] + column as isize * sink_step;
                let pointers = [0, 1].map(|k| {
                    let size = program.dtype_of(results[k]).itemsize();
                    pointers[k].wrapping_add(i * n * size)
                });
                // SAFETY: the machine has just computed `rows * n` elements of
                // each result, one row after another.
                unsafe { sink.take(at as usize, sink_step, pointers, n) };
            }
            column += n;
        }
    }
    Ok(())
}

/// A program laid out over registers.
struct Machine<'a> {
    program: &'a Program,
    sources: &'a [Source<'a>],
    registers: Registers,
    /// Where the current tile of every input is.
    inputs: Vec<*const u8>,
    /// The register of every input, after those of the steps.
    first_input: usize,
    first_constant: usize,
    /// The register of every step.
    steps: Vec<usize>,
    /// How every step is watched.
    watches: Vec<Watch>,
    /// Inputs that are the same for all elements and were filled in once.
    fixed: Vec<bool>,
    /// Where the last step writes, if not to its register.
    target: Option<*mut u8>,
}

impl<'a> Machine<'a> {
    fn new(program: &'a Program, sources: &'a [Source<'a>], walk: &Walk, results: [Slot; 2]) -> Self {
        let (steps, n_steps) = assign_registers(program, &results);
        let (first_input, first_constant) = (n_steps, n_steps + sources.len());
        let itemsize = program.steps().iter().map(|step| step.out.itemsize());
        let itemsize = itemsize.chain(sources.iter().map(|source| source.dtype().itemsize()));
        let itemsize = itemsize.chain(program.constants().iter().map(|constant| constant.dtype().itemsize()));
        let mut registers = Registers::new(first_constant + program.constants().len(), itemsize.max().unwrap_or(1));
        for (i, &constant) in program.constants().iter().enumerate() {
            let register = registers.pointer(first_constant + i);
            dispatch!(constant.dtype(), T => {
                // SAFETY: a register holds TILE elements of any dtype.
                unsafe { std::slice::from_raw_parts_mut(register.cast::<T>(), TILE) }.fill(T::from_constant(constant));
            });
        }
        let mut machine = Machine {
            program,
            sources,
            registers,
            inputs: Vec::new(),
            first_input,
            first_constant,
            steps,
            watches: program.steps().iter().map(Watch::of).collect(),
            fixed: Vec::new(),
            target: None,
        };
        for (i, source) in sources.iter().enumerate() {
            let fixed = walk.strides[i].iter().all(|&stride| stride == 0);
            let register = machine.registers.pointer(first_input + i);
            if fixed {
                // SAFETY: an element that all strides of zero name exists, and
                // a register holds TILE elements.
                unsafe { fetch(source, 0, 0, register, TILE) };
            }
            machine.fixed.push(fixed);
            machine.inputs.push(register);
        }
        machine
    }

    fn pointer_of(&mut self, slot: Slot) -> *const u8 {
        match slot {
            Slot::Input(input) => self.inputs[input as usize],
            Slot::Constant(constant) => self.registers.pointer(self.first_constant + constant as usize),
            Slot::Step(step) => self.registers.pointer(self.steps[step as usize]),
        }
    }

    /// Computes `n` elements, from `column` on, of every row that `starts`
    /// names.
    fn run(&mut self, walk: &Walk, starts: &[isize], column: usize, n: usize) -> Result<()> {
        let width = self.sources.len() + 1;
        let rows = starts.len() / width;
        for (i, source) in self.sources.iter().enumerate() {
            if self.fixed[i] {
                continue;
            }
            let step = walk.inner(i);
            let begin = |row: usize| starts[row * width + i].wrapping_add((column as isize).wrapping_mul(step));
            if let (Source::Block { block, .. }, 1, 1) = (source, rows, step) {
                let size = block.dtype().itemsize() as isize;
                self.inputs[i] = block.as_ptr().wrapping_offset(begin(0) * size);
                continue;
            }
            let register = self.registers.pointer(self.first_input + i);
            self.inputs[i] = register;
            let size = source.dtype().itemsize();
            for row in 0..rows {
                // SAFETY: the walk stays inside the shape that the source was
                // laid over, and `rows * n` is at most TILE.
                unsafe { fetch(source, begin(row), step, register.add(row * n * size), n) };
            }
        }
        let n = rows * n;
        for position in 0..self.program.steps().len() {
            let step = self.program.steps()[position];
            let mut args = [std::ptr::null(); 3];
            for (arg, &slot) in args.iter_mut().zip(step.args()) {
                *arg = self.pointer_of(slot);
            }
            let is_last = position + 1 == self.program.steps().len();
            let out = match self.target {
                Some(target) if is_last => target,
                _ => self.registers.pointer(self.steps[position]),
            };
            let watch = self.watches[position];
            watch.begin();
            // SAFETY: all arguments are tiles of at least `n` elements of the
            // dtypes that the step names, as programs are checked; the register
            // of the result is read by no argument of this step.
            unsafe {
                map::run(step.func, step.dtype, step.out, args, out, n)?;
                watch.end(&step, args, out, n);
            }
        }
        Ok(())
    }
}

/// Brings `n` elements of a source, beginning `begin` into it, to a register.
///
/// # Safety
/// The elements exist and the register has room for them.
unsafe fn fetch(source: &Source, begin: isize, step: isize, register: *mut u8, n: usize) {
    match source {
        Source::Block { block, .. } => {
            let size = block.dtype().itemsize();
            let from = block.as_ptr().wrapping_offset(begin * size as isize);
            // SAFETY: passed on to the caller.
            unsafe { gather(size, from, step, register, n) };
        }
        Source::Generate { generator, start, .. } => {
            // SAFETY: passed on to the caller.
            unsafe { generator.fill(start.wrapping_add(begin as i64), step as i64, register, n) };
        }
    }
}

/// Writes results into memory.
struct Store {
    out: *mut u8,
    itemsize: usize,
    /// Whether the rows of the walked shape lie one after another.
    is_dense: bool,
}

impl Sink for Store {
    unsafe fn take(&mut self, at: usize, step: isize, results: [*const u8; 2], n: usize) {
        let to = self.out.wrapping_add(at * self.itemsize);
        // SAFETY: `out` has room for the whole walked shape, and the walk hands
        // over each place once.
        unsafe {
            if step == 1 {
                std::ptr::copy_nonoverlapping(results[0], to, n * self.itemsize);
            } else {
                scatter(self.itemsize, (results[0], 1), (to, step), n);
            }
        }
    }

    fn place(&mut self, at: usize, n_rows: usize) -> Option<*mut u8> {
        (self.is_dense || n_rows == 1).then(|| self.out.wrapping_add(at * self.itemsize))
    }
}

/// Writes the result of a program over `shape` to memory with strides of its
/// own, of which the last is 1 unless its axis has length one.
///
/// # Errors
/// Those of the instructions.
///
/// # Safety
/// `out` has room for every element that the shape and `strides` name.
pub unsafe fn evaluate_into(
    program: &Program,
    sources: &[Source],
    shape: &[usize],
    (out, strides): (*mut u8, &[isize]),
) -> Result<()> {
    let itemsize = program.dtype().itemsize();
    if let ([Source::Block { block, strides: from }], true) = (sources, program.is_identity()) {
        // SAFETY: the memory has room for the shape, and the source was laid
        // over it.
        unsafe { copy_strided(shape, itemsize, (block.as_ptr(), from), (out, strides)) };
        return Ok(());
    }
    // Axes of length one are not walked, so that another may be the last.
    let is_dense = strides == contiguous_strides(shape).as_slice();
    let ends_in_one =
        is_dense || (0..shape.len()).rev().find(|&axis| shape[axis] != 1).is_none_or(|axis| strides[axis] == 1);
    if !ends_in_one {
        let block = evaluate_to_block(program, sources, shape)?;
        // SAFETY: passed on to the caller.
        unsafe { copy_into(&block, out, strides) };
        return Ok(());
    }
    evaluate(program, sources, shape, None, strides, false, &mut Store { out, itemsize, is_dense })
}

/// The result of a program over `shape` as a new block.
///
/// # Errors
/// Those of the instructions.
pub fn evaluate_to_block(program: &Program, sources: &[Source], shape: &[usize]) -> Result<Block> {
    let strides = contiguous_strides(shape);
    // SAFETY: the memory is for this shape in C order.
    let fill = |out: *mut u8| unsafe { evaluate_into(program, sources, shape, (out, &strides)) };
    // SAFETY: every place of the shape is written.
    unsafe { Block::filled(program.dtype(), shape, fill) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Constant;
    use crate::program::{Builder, Func};

    fn source(block: &Block) -> Source<'_> {
        Source::Block { block, strides: block.strides().into() }
    }

    #[test]
    fn programs_run_over_many_tiles_and_any_strides() {
        let mut builder = Builder::new();
        let (x, y) = (builder.input(DType::F64), builder.input(DType::F64));
        let two = builder.constant(Constant::from_f64(DType::F64, 2.0));
        let product = builder.step(Func::Multiply, &[x, two]);
        let sum = builder.step(Func::Add, &[product, y]);
        let program = builder.finish(sum);
        for shape in [[3, 5], [40, 70], [2, 3000], [3000, 2]] {
            let n = shape[0] * shape[1];
            let a = Block::from_vec((0..n).map(|i| i as f64).collect(), &shape);
            let b = Block::from_vec((0..n).map(|i| (i * i % 13) as f64).collect(), &[shape[1], shape[0]]);
            let b = b.view(0, shape.as_slice().into(), Strides::from_slice(&[1, shape[0] as isize]));
            let result = evaluate_to_block(&program, &[source(&a), source(&b)], &shape).unwrap();
            let (a, b) = (a.to_vec::<f64>().unwrap(), b.to_vec::<f64>().unwrap());
            let expected: Vec<f64> = a.iter().zip(&b).map(|(x, y)| 2.0 * x + y).collect();
            assert_eq!(result.to_vec::<f64>().unwrap(), expected, "{shape:?}");
        }
    }

    #[test]
    fn generators_follow_their_strides() {
        let program = Program::identity(DType::I64);
        let source =
            Source::Generate { generator: Generator::Index, start: 5, strides: Strides::from_slice(&[-1, 10]) };
        let block = evaluate_to_block(&program, &[source], &[2, 3]).unwrap();
        assert_eq!(block.to_vec::<i64>().unwrap(), [5, 15, 25, 4, 14, 24]);
    }
}
