//! Pictures of graphs.

use crate::base::{Taken, graph_of};
use crate::error::OrRaise;
use oxidask::draw::{DrawOptions, Drawing};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(draw_graph, module)?)
}

/// Draws the graph of all lazy things within `args`; answers the file's content.
#[pyfunction]
fn draw_graph<'py>(
    args: &Bound<'py, PyTuple>,
    traverse: bool,
    optimize_graph: bool,
    format: &str,
    rankdir: &str,
    collapse_outputs: bool,
    verbose: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = args.py();
    let taken = Taken::apart(args, traverse)?;
    let options =
        DrawOptions { rankdir: rankdir.parse().or_raise()?, collapse_outputs, verbose, ..DrawOptions::default() };
    let draw = || {
        let (graph, _) = graph_of(&taken.lazy, optimize_graph)?;
        let drawing = Drawing::of_graph(&graph, &options)?;
        if format == "svg" { Ok(drawing.to_svg().into_bytes()) } else { drawing.to_png() }
    };
    Ok(PyBytes::new(py, &py.detach(draw).or_raise()?))
}
