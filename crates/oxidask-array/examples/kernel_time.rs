//! Nanoseconds an element on one thread: random numbers, elementwise chains and
//! reductions, each run as the one task that an executor would run.

use oxidask_array::fourier::{Kind, Norm};
use oxidask_array::order::Interpolation;
use oxidask_array::overlap::{Boundary, Rim};
use oxidask_array::random::Generator;
use oxidask_array::{Array, Block, ChunkSpec};
use oxidask_core::graph::Source;
use oxidask_core::{Result, Value, lower, optimize};
use std::time::Instant;

/// Nanoseconds that this thread has run, which other programs do not disturb;
/// wall time where the system does not tell.
fn thread_time(start: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds * 1e-9)
}

fn run(array: &Array) -> Result<f64> {
    let roots = optimize(&[array.expr().clone()])?;
    let (graph, _) = lower(&roots)?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let mut values: Vec<Value> = Vec::new();
        let start = Instant::now();
        let before = thread_time(start);
        for (idx, task) in graph.tasks().iter().enumerate() {
            let inputs = graph
                .inputs_of(idx as u32)
                .iter()
                .map(|input| values[input.task as usize].part(input.part_idx()))
                .collect::<Result<Vec<Value>>>()?;
            values.push(match task.source() {
                Source::Run(stage) => graph.stages()[stage as usize].op.run(u64::from(task.block), &inputs)?,
                Source::Data(data) => graph.data_values()[data as usize].clone(),
                Source::Held => unreachable!("nothing is held"),
            });
        }
        best = best.min(thread_time(start) - before);
    }
    Ok(best)
}

fn main() -> Result<()> {
    let side = 4000;
    let n = (side * side) as f64;
    let rng = Generator::new(1);
    let r = rng.random(&[side, side], &[1000])?;
    let normal = rng.normal(0.0, 1.0, &[side, side], &[1000])?;
    let block = Block::from_vec((0..side * side).map(|i| (i % 1000) as f64 * 1e-3).collect(), &[side, side]);
    let x = Array::from_named_block(block, &[ChunkSpec::Size(1000)], Some(oxidask_core::Key::named("x")))?;
    let shuffled: Vec<i64> = (0..side as i64).map(|i| i * 1777 % side as i64).collect();
    let edges: Vec<f64> = (0..=100).map(|i| f64::from(i) * 0.01).collect();
    let rims = [Rim { before: 2, after: 2, boundary: Boundary::Reflect }; 2];
    let waves = x.sin()?.pow(2)?.add(x.cos()?.pow(2)?)?;
    for (name, array) in [
        ("random().mean()", r.mean(None, false)?),
        ("normal().mean()", normal.mean(None, false)?),
        ("(random + random.T).mean(axis=0)", r.add(r.t())?.mean(Some(&[0]), false)?),
        ("x.sum()", x.sum(None, false)?),
        ("x.sum(axis=0)", x.sum(Some(&[0]), false)?),
        ("x.max()", x.max(None, false)?),
        ("x.std()", x.std(None, false)?),
        ("x.std(axis=0)", x.std(Some(&[0]), false)?),
        ("x + 1", x.add(1.0)?),
        ("x + x.T", x.add(x.t())?),
        ("(sin(x)**2 + cos(x)**2).sum()", waves.sum(None, false)?),
        ("exp(x)", x.exp()?),
        ("log(x)", x.log()?),
        ("tanh(x)", x.tanh()?),
        ("random", r.clone()),
        ("normal", normal.clone()),
        ("rechunk", x.mul(2.0)?.rechunk(&[ChunkSpec::Size(500), ChunkSpec::Whole])?),
        ("x.take(random rows)", x.take(&shuffled, 0)?),
        ("x.take(random columns)", x.take(&shuffled, 1)?),
        ("x[x > 0.5].sum()", x.masked(&x.gt(0.5)?)?.sum(None, false)?),
        ("x[x > 0.5]", x.masked(&x.gt(0.5)?)?),
        ("cumsum(axis=0)", x.cumulative("cumsum", 0, None)?),
        ("cumsum(axis=1)", x.cumulative("cumsum", 1, None)?),
        ("histogram, 100 bins", r.histogram(&edges, None)?),
        ("median(axis=1)", r.quantiles(&[0.5], 1, Interpolation::Linear, false)?),
        ("sort(axis=1)", r.sort(1)?),
        ("fft(axis=1)", x.fourier(Kind::Fft, None, 1, Norm::Backward)?),
        ("rfft(axis=1)", x.fourier(Kind::Rfft, None, 1, Norm::Backward)?),
        ("pow(x, 1.7)", x.pow(1.7)?),
        ("arctan2(x, random)", Array::apply("arctan2", &[(&x).into(), (&r).into()])?),
        ("overlap of 2 and trim", x.overlap(&rims)?.mul(0.5)?.trim(&rims)?),
    ] {
        println!("{name}: {:.2} ns an element", run(&array)? / n * 1e9);
    }
    let (a, b) = (x.rechunk(&[ChunkSpec::Size(2000)])?, r.rechunk(&[ChunkSpec::Size(2000)])?);
    let seconds = run(&a.matmul(&b)?)?;
    let tall = r.reshape(&[-1, 100])?.rechunk(&[ChunkSpec::Size(16_000), ChunkSpec::Whole])?;
    println!("qr of 160,000 x 100: {:.0} ms", run(&tall.qr()?.0)? * 1e3);
    println!("svd of 160,000 x 100: {:.0} ms", run(&tall.svd()?.1)? * 1e3);
    println!("matmul: {:.1} GFLOP/s", 2.0 * n * side as f64 / seconds * 1e-9);
    Ok(())
}
