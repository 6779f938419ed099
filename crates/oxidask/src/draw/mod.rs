//! Graphs and plans as pictures, without Graphviz.
//!
//! ```
//! use oxidask::draw::{DrawOptions, Drawing};
//! use oxidask::prelude::*;
//!
//! #[oxidask::task]
//! fn inc(x: i64) -> i64 {
//!     x + 1
//! }
//!
//! let (graph, _) = oxidask::core::lower(&[inc::delay(inc::delay(1)).expr().clone()])?;
//! let drawing = Drawing::of_graph(&graph, &DrawOptions::default())?;
//! assert!(drawing.to_svg().starts_with("<svg"));
//! assert!(drawing.to_png()?.starts_with(b"\x89PNG"));
//! # Ok::<(), oxidask::Error>(())
//! ```

mod font;
mod layout;
mod scene;
#[cfg(test)]
mod tests;

use font::Font;
use layout::{Point, Size, layout};
use oxidask_core::optimize::distinct;
use oxidask_core::{Error, ExprRef, Graph, Result, Source};
use scene::{EdgeShape, FONT_SIZE, NodeShape, Outline, Scene};
use std::str::FromStr;

const MARGIN: f64 = 8.0;
const NODE_HEIGHT: f64 = 34.0;
const BOX_HEIGHT: f64 = 26.0;
/// Longest text inside a node; the tooltip has it in full.
const MAX_TEXT: usize = 28;
/// The fill of values.
const BOX_FILL: [u8; 3] = [0xf4, 0xf5, 0xf7];
/// Fills of functions, one for each name, used round and round.
const FILLS: [[u8; 3]; 8] = [
    [0xd6, 0xe6, 0xf7],
    [0xfd, 0xe3, 0xc8],
    [0xd7, 0xf0, 0xd8],
    [0xf7, 0xd9, 0xdd],
    [0xe6, 0xdc, 0xf3],
    [0xf5, 0xec, 0xbf],
    [0xd0, 0xee, 0xee],
    [0xec, 0xe2, 0xd9],
];

/// Where the arrows point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankDir {
    /// From sources at the bottom to results at the top (`BT`).
    #[default]
    BottomTop,
    /// Downwards (`TB`).
    TopBottom,
    /// To the right (`LR`).
    LeftRight,
    /// To the left (`RL`).
    RightLeft,
}

impl FromStr for RankDir {
    type Err = Error;

    /// Reads `BT`, `TB`, `LR` or `RL`.
    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_uppercase().as_str() {
            "BT" => Ok(RankDir::BottomTop),
            "TB" => Ok(RankDir::TopBottom),
            "LR" => Ok(RankDir::LeftRight),
            "RL" => Ok(RankDir::RightLeft),
            _ => Err(Error::value(format!("rankdir is '{text}', but must be BT, TB, LR or RL"))),
        }
    }
}

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct DrawOptions {
    /// Where the arrows point.
    pub rankdir: RankDir,
    /// Leave out the boxes of intermediate results, so that functions point at
    /// functions.
    pub collapse_outputs: bool,
    /// Write keys into the boxes of results.
    pub verbose: bool,
    /// Refuse graphs with more nodes than this: nobody can read them, and the
    /// picture would be huge.
    pub max_nodes: usize,
}

impl Default for DrawOptions {
    fn default() -> Self {
        DrawOptions { rankdir: RankDir::default(), collapse_outputs: false, verbose: false, max_nodes: 5_000 }
    }
}

/// A picture of a graph or a plan, ready to be written in either format.
pub struct Drawing(Scene);

impl Drawing {
    /// Draws tasks as circles with the names of their functions and values as
    /// boxes; arrows lead from what is read to who reads it.
    ///
    /// # Errors
    /// If the graph has more than [`DrawOptions::max_nodes`] nodes.
    pub fn of_graph(graph: &Graph, options: &DrawOptions) -> Result<Drawing> {
        let per_task = if options.collapse_outputs { 1 } else { 2 };
        let n_nodes: usize =
            graph.tasks().iter().map(|task| if matches!(task.source(), Source::Run(_)) { per_task } else { 1 }).sum();
        check_size(n_nodes, options)?;
        let mut picture = Picture::new(n_nodes)?;
        let mut tasks_of_stage = vec![0_u32; graph.stages().len()];
        for task in graph.tasks() {
            if let Source::Run(stage) = task.source() {
                tasks_of_stage[stage as usize] += 1;
            }
        }
        // The node that stands for each task's result.
        let mut results: Vec<u32> = Vec::with_capacity(graph.len());
        for (idx, task) in graph.tasks().iter().enumerate() {
            let name = graph.name_of(idx as u32);
            let result = match task.source() {
                Source::Run(stage) => {
                    let function = picture.function(&graph.stages()[stage as usize].label, &name);
                    for input in graph.inputs_of(idx as u32) {
                        picture.edges.push((results[input.task as usize], function));
                    }
                    if options.collapse_outputs {
                        function
                    } else {
                        let text = match graph.user_name(idx as u32) {
                            _ if options.verbose => name.clone(),
                            Some(chosen) => chosen.to_string(),
                            None if tasks_of_stage[stage as usize] > 1 => task.block.to_string(),
                            None => String::new(),
                        };
                        let result = picture.value(&text, &name);
                        picture.edges.push((function, result));
                        result
                    }
                }
                Source::Data(data) => {
                    let what = graph.data_values()[data as usize].data().describe();
                    picture.value(&what, &format!("{name}: {what}"))
                }
                Source::Held => picture.value(if options.verbose { &name } else { "held" }, &name),
            };
            results.push(result);
        }
        picture.draw(options.rankdir)
    }

    /// Draws the expressions below `roots`, one node each.
    ///
    /// # Errors
    /// If there are more than [`DrawOptions::max_nodes`] expressions.
    pub fn of_plan(roots: &[ExprRef], options: &DrawOptions) -> Result<Drawing> {
        let nodes = distinct(roots);
        check_size(nodes.len(), options)?;
        let mut picture = Picture::new(nodes.len())?;
        let mut indices = hashbrown::HashMap::with_capacity(nodes.len());
        for node in nodes {
            let text = if options.verbose { node.describe() } else { node.label().into_owned() };
            let index = picture.function(&text, &node.describe());
            for input in node.inputs() {
                picture.edges.push((indices[&input.key()], index));
            }
            indices.insert(node.key(), index);
        }
        picture.draw(options.rankdir)
    }

    /// The picture as an SVG document.
    #[must_use]
    pub fn to_svg(&self) -> String {
        self.0.to_svg()
    }

    /// The picture as a PNG file of two pixels a unit; very large pictures are
    /// scaled down.
    ///
    /// # Errors
    /// If there is no memory for the picture.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.0.to_png()
    }
}

fn check_size(n_nodes: usize, options: &DrawOptions) -> Result<()> {
    if n_nodes <= options.max_nodes {
        return Ok(());
    }
    Err(Error::value(format!(
        "the graph has {n_nodes} nodes, more than the {} that a readable picture can hold",
        options.max_nodes
    ))
    .with_hint("draw the same work on a smaller input, or raise max_nodes"))
}

/// Nodes and edges on their way to a drawing.
struct Picture {
    font: Font,
    nodes: Vec<NodeShape>,
    edges: Vec<(u32, u32)>,
    /// Function names in the order of their first appearance, for colours.
    names: Vec<String>,
}

impl Picture {
    fn new(n_nodes: usize) -> Result<Self> {
        Ok(Picture {
            font: Font::new(FONT_SIZE)?,
            nodes: Vec::with_capacity(n_nodes),
            edges: Vec::new(),
            names: Vec::new(),
        })
    }

    fn function(&mut self, name: &str, tooltip: &str) -> u32 {
        let color = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        self.node(Outline::Round, FILLS[color % FILLS.len()], name, tooltip)
    }

    fn value(&mut self, text: &str, tooltip: &str) -> u32 {
        self.node(Outline::Box, BOX_FILL, text, tooltip)
    }

    fn node(&mut self, outline: Outline, fill: [u8; 3], text: &str, tooltip: &str) -> u32 {
        let text = shorten(text);
        let width = self.font.width(&text);
        let size = match outline {
            Outline::Round => Size { width: (width + 18.0).max(NODE_HEIGHT), height: NODE_HEIGHT },
            Outline::Box => Size { width: (width + 14.0).max(BOX_HEIGHT), height: BOX_HEIGHT },
        };
        let center = Point { x: 0.0, y: 0.0 };
        self.nodes.push(NodeShape { center, size, outline, fill, text, tooltip: tooltip.to_owned() });
        (self.nodes.len() - 1) as u32
    }

    fn draw(mut self, rankdir: RankDir) -> Result<Drawing> {
        // A node may read the same value twice; one arrow says it.
        self.edges.sort_unstable();
        self.edges.dedup();
        let sideways = matches!(rankdir, RankDir::LeftRight | RankDir::RightLeft);
        let turn = |size: Size| if sideways { Size { width: size.height, height: size.width } } else { size };
        let sizes: Vec<Size> = self.nodes.iter().map(|node| turn(node.size)).collect();
        let placed = layout(&sizes, &self.edges)?;
        let size = turn(placed.size);
        let place = |point: Point| {
            let Point { x, y } = if sideways { Point { x: point.y, y: point.x } } else { point };
            match rankdir {
                RankDir::BottomTop => Point { x: MARGIN + x, y: MARGIN + size.height - y },
                RankDir::RightLeft => Point { x: MARGIN + size.width - x, y: MARGIN + y },
                RankDir::TopBottom | RankDir::LeftRight => Point { x: MARGIN + x, y: MARGIN + y },
            }
        };
        for (node, &center) in self.nodes.iter_mut().zip(&placed.centers) {
            node.center = place(center);
        }
        let edges = self
            .edges
            .iter()
            .zip(placed.routes)
            .map(|(&(from, to), route)| {
                let mut points: Vec<Point> = route.into_iter().map(place).collect();
                let last = points.len() - 1;
                let (start, end) = (points[1], points[last - 1]);
                points[0] = border(&self.nodes[from as usize], start);
                points[last] = border(&self.nodes[to as usize], end);
                EdgeShape { points }
            })
            .collect();
        let size = Size { width: size.width + 2.0 * MARGIN, height: size.height + 2.0 * MARGIN };
        Ok(Drawing(Scene { size, nodes: self.nodes, edges }))
    }
}

/// Where the line from a node's centre towards `target` leaves the node.
fn border(node: &NodeShape, target: Point) -> Point {
    let (center, half_width, half_height) = (node.center, node.size.width / 2.0, node.size.height / 2.0);
    let (dx, dy) = (target.x - center.x, target.y - center.y);
    let reach = match node.outline {
        Outline::Box => (half_width / dx.abs()).min(half_height / dy.abs()),
        // An ellipse is near enough to a pill, and exact for a circle.
        Outline::Round => 1.0 / (dx / half_width).hypot(dy / half_height),
    };
    if reach.is_finite() { Point { x: center.x + dx * reach, y: center.y + dy * reach } } else { center }
}

fn shorten(text: &str) -> String {
    let mut letters = text.chars();
    let short: String = letters.by_ref().take(MAX_TEXT).collect();
    if letters.next().is_none() { short } else { format!("{}…", short.trim_end()) }
}
