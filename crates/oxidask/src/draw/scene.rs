//! A finished drawing as shapes, and its two outputs: SVG and PNG.
//!
//! Both are written from the same few shapes, so that they cannot differ.

use super::font::Font;
use super::layout::{Point, Size};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use oxidask_core::{Error, Result};
use std::fmt::Write as _;
use std::io::Write as _;
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Stroke, Transform};

/// Height of letters, in the drawing's units (pixels of an SVG).
pub(super) const FONT_SIZE: f64 = 13.0;
const LINE_WIDTH: f64 = 1.0;
const INK: [u8; 3] = [0x33, 0x3a, 0x45];
/// Pixels of a PNG per unit, so that it is sharp on dense screens.
const PNG_SCALE: f64 = 2.0;
/// Most pixels of a PNG: larger drawings are scaled down to it.
const MAX_PIXELS: f64 = 50e6;
/// Longest side of a PNG in pixels.
const MAX_SIDE: f64 = 30_000.0;

/// The outline of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outline {
    /// A circle, or a pill if its text is long: something that runs.
    Round,
    /// A rectangle: a value.
    Box,
}

/// A node with its text.
pub(super) struct NodeShape {
    pub center: Point,
    pub size: Size,
    pub outline: Outline,
    pub fill: [u8; 3],
    pub text: String,
    /// What a viewer shows when the mouse rests on it.
    pub tooltip: String,
}

impl NodeShape {
    fn radius(&self) -> f64 {
        match self.outline {
            Outline::Round => self.size.height / 2.0,
            Outline::Box => 2.0,
        }
    }
}

/// An arrow that passes some points; smooth in between.
pub(super) struct EdgeShape {
    /// From the border of one node to the border of the other.
    pub points: Vec<Point>,
}

/// A drawing.
pub(super) struct Scene {
    pub size: Size,
    pub nodes: Vec<NodeShape>,
    pub edges: Vec<EdgeShape>,
}

const ARROW_LENGTH: f64 = 8.0;
const ARROW_HALF_WIDTH: f64 = 3.2;

impl EdgeShape {
    /// The three corners of the arrow head.
    fn head(&self) -> [Point; 3] {
        let tip = self.points[self.points.len() - 1];
        let before = self.points[self.points.len() - 2];
        let (dx, dy) = (tip.x - before.x, tip.y - before.y);
        let length = dx.hypot(dy).max(1e-9);
        let (ux, uy) = (dx / length, dy / length);
        let base = Point { x: tip.x - ux * ARROW_LENGTH, y: tip.y - uy * ARROW_LENGTH };
        let corner =
            |side: f64| Point { x: base.x - uy * ARROW_HALF_WIDTH * side, y: base.y + ux * ARROW_HALF_WIDTH * side };
        [tip, corner(1.0), corner(-1.0)]
    }

    /// The curve as its start and cubic pieces (two controls and an end each).
    fn curve(&self) -> (Point, Vec<[Point; 3]>) {
        let points = &self.points;
        let [_, left, right] = self.head();
        let mut points = points.clone();
        let last = points.len() - 1;
        points[last] = Point { x: f64::midpoint(left.x, right.x), y: f64::midpoint(left.y, right.y) };
        // Catmull and Rom's spline: the tangent at a point is the direction
        // between its neighbours; at the ends it is the first and last piece's.
        let at = |idx: usize| points[idx.min(last)];
        let pieces = (0..last)
            .map(|idx| {
                let (before, from, to, after) = (at(idx.saturating_sub(1)), at(idx), at(idx + 1), at(idx + 2));
                [
                    Point { x: from.x + (to.x - before.x) / 6.0, y: from.y + (to.y - before.y) / 6.0 },
                    Point { x: to.x - (after.x - from.x) / 6.0, y: to.y - (after.y - from.y) / 6.0 },
                    to,
                ]
            })
            .collect();
        (points[0], pieces)
    }
}

impl Scene {
    /// The drawing as an SVG document that needs nothing else.
    pub(super) fn to_svg(&self) -> String {
        let Size { width, height } = self.size;
        let ink = hex(INK);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.1} {height:.1}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <g fill=\"none\" stroke=\"{ink}\" stroke-width=\"{LINE_WIDTH}\">\n"
        );
        // Writing to a String cannot fail.
        for edge in &self.edges {
            let (start, pieces) = edge.curve();
            let _ = write!(svg, "<path d=\"M{:.1} {:.1}", start.x, start.y);
            for [a, b, c] in pieces {
                let _ = write!(svg, "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", a.x, a.y, b.x, b.y, c.x, c.y);
            }
            svg.push_str("\"/>");
            let [tip, left, right] = edge.head();
            let _ = writeln!(
                svg,
                "<path d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\" fill=\"{ink}\" stroke=\"none\"/>",
                tip.x, tip.y, left.x, left.y, right.x, right.y
            );
        }
        let _ = writeln!(
            svg,
            "</g>\n<g font-family=\"Ubuntu, Helvetica, Arial, sans-serif\" font-size=\"{FONT_SIZE}\" \
             text-anchor=\"middle\" stroke-width=\"{LINE_WIDTH}\">"
        );
        for node in &self.nodes {
            let (center, size) = (node.center, node.size);
            let _ = write!(
                svg,
                "<g><title>{}</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{:.1}\" \
                 fill=\"{}\" stroke=\"{ink}\"/>",
                escape(&node.tooltip),
                center.x - size.width / 2.0,
                center.y - size.height / 2.0,
                size.width,
                size.height,
                node.radius(),
                hex(node.fill),
            );
            if !node.text.is_empty() {
                let base = center.y + FONT_SIZE * 0.34;
                let text = escape(&node.text);
                let _ = write!(svg, "<text x=\"{:.1}\" y=\"{base:.1}\" fill=\"{ink}\">{text}</text>", center.x);
            }
            svg.push_str("</g>\n");
        }
        svg.push_str("</g>\n</svg>\n");
        svg
    }

    /// The drawing as a PNG file.
    ///
    /// # Errors
    /// If there is no memory for the picture.
    pub(super) fn to_png(&self) -> Result<Vec<u8>> {
        let Size { width, height } = self.size;
        let scale = PNG_SCALE.min((MAX_PIXELS / (width * height)).sqrt()).min(MAX_SIDE / width.max(height));
        let side = |length: f64| (length * scale).ceil().max(1.0) as u32;
        let mut pixmap = Pixmap::new(side(width), side(height))
            .ok_or_else(|| Error::value(format!("cannot make a picture of {width:.0} × {height:.0}")))?;
        pixmap.fill(Color::WHITE);
        let mut canvas = Canvas { pixmap, transform: Transform::from_scale(scale as f32, scale as f32) };
        let font = Font::new(FONT_SIZE)?;
        for edge in &self.edges {
            canvas.edge(edge);
        }
        for node in &self.nodes {
            canvas.node(node, &font);
        }
        encode_png(&canvas.pixmap)
    }
}

struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
}

impl Canvas {
    fn fill(&mut self, path: &tiny_skia::Path, color: [u8; 3]) {
        self.pixmap.fill_path(path, &paint(color), FillRule::Winding, self.transform, None);
    }

    fn stroke(&mut self, path: &tiny_skia::Path) {
        let stroke = Stroke { width: LINE_WIDTH as f32, ..Stroke::default() };
        self.pixmap.stroke_path(path, &paint(INK), &stroke, self.transform, None);
    }

    fn edge(&mut self, edge: &EdgeShape) {
        let (start, pieces) = edge.curve();
        let mut path = PathBuilder::new();
        path.move_to(start.x as f32, start.y as f32);
        for [a, b, c] in pieces {
            path.cubic_to(a.x as f32, a.y as f32, b.x as f32, b.y as f32, c.x as f32, c.y as f32);
        }
        if let Some(path) = path.finish() {
            self.stroke(&path);
        }
        let mut path = PathBuilder::new();
        let [tip, left, right] = edge.head();
        path.move_to(tip.x as f32, tip.y as f32);
        path.line_to(left.x as f32, left.y as f32);
        path.line_to(right.x as f32, right.y as f32);
        path.close();
        if let Some(path) = path.finish() {
            self.fill(&path, INK);
        }
    }

    fn node(&mut self, node: &NodeShape, font: &Font) {
        if let Some(path) = rounded_rectangle(node) {
            self.fill(&path, node.fill);
            self.stroke(&path);
        }
        let left = node.center.x - font.width(&node.text) / 2.0;
        if let Some(path) = font.outline(&node.text, left, node.center.y + FONT_SIZE * 0.34) {
            self.fill(&path, INK);
        }
    }
}

fn paint(color: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(color[0], color[1], color[2], 255);
    paint.anti_alias = true;
    paint
}

fn rounded_rectangle(node: &NodeShape) -> Option<tiny_skia::Path> {
    // A quarter of a circle as a cubic curve: its controls lie this far out.
    const QUARTER: f32 = 0.552_284_8;
    let (half_width, half_height) = (node.size.width as f32 / 2.0, node.size.height as f32 / 2.0);
    let (x, y) = (node.center.x as f32, node.center.y as f32);
    let (left, right, top, bottom) = (x - half_width, x + half_width, y - half_height, y + half_height);
    let radius = node.radius() as f32;
    let control = radius * (1.0 - QUARTER);
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.cubic_to(right - control, top, right, top + control, right, top + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - control, right - control, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.cubic_to(left + control, bottom, left, bottom - control, left, bottom - radius);
    path.line_to(left, top + radius);
    path.cubic_to(left, top + control, left + control, top, left + radius, top);
    path.close();
    path.finish()
}

/// Writes 8-bit RGB; the picture has no transparency.
fn encode_png(pixmap: &Pixmap) -> Result<Vec<u8>> {
    let (width, height) = (pixmap.width(), pixmap.height());
    let failed = |cause: std::io::Error| Error::io("compressing a picture", &cause);
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut line = Vec::with_capacity(1 + width as usize * 3);
    for row in pixmap.data().chunks_exact(width as usize * 4) {
        line.clear();
        line.push(0);
        line.extend(row.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
        pixels.write_all(&line).map_err(failed)?;
    }
    let pixels = pixels.finish().map_err(failed)?;

    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", &header), (b"IDAT", &pixels), (b"IEND", &Vec::new())] {
        let length = u32::try_from(body.len()).map_err(|_| Error::value("the picture is larger than 4 GiB"))?;
        let mut checksum = Crc::new();
        checksum.update(kind);
        checksum.update(body);
        png.extend(length.to_be_bytes());
        png.extend(kind);
        png.extend(body);
        png.extend(checksum.sum().to_be_bytes());
    }
    Ok(png)
}

fn hex(color: [u8; 3]) -> String {
    format!("#{:02x}{:02x}{:02x}", color[0], color[1], color[2])
}

/// Text that is safe between tags and in attributes; control characters, which
/// XML cannot hold at all, become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
