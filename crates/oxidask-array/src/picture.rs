//! Pictures of arrays: their shape to scale, cut into chunks, as SVG.

use crate::chunks::{Chunks, UNKNOWN};
use std::fmt::Write as _;

/// Lines drawn along one axis at most; finer chunks are shown in part.
const LINES_MAX: usize = 40;
/// The shortest side that is still drawn visibly, as a fraction of the longest.
const THINNEST: f64 = 0.12;

/// Where the borders of an axis are drawn, from 0 to `size`.
fn marks(chunks: &Chunks, axis: usize, size: f64) -> Vec<f64> {
    let borders = chunks.borders(axis);
    if chunks.is_unknown(axis) {
        let n = chunks.n_along(axis);
        return (0..=n).step_by(n.div_ceil(LINES_MAX).max(1)).map(|at| at as f64 / n as f64 * size).collect();
    }
    let length = chunks.length(axis).max(1) as f64;
    let step = borders.len().div_ceil(LINES_MAX).max(1);
    let mut marks: Vec<f64> = borders.iter().step_by(step).map(|&border| border as f64 / length * size).collect();
    if marks.last().is_some_and(|&last| last < size) {
        marks.push(size);
    }
    marks.dedup();
    marks
}

/// The drawn length of each axis.
fn sides(chunks: &Chunks, size: f64) -> Vec<f64> {
    // Axes of unknown length are drawn as long as the longest known one.
    let mut shape = chunks.shape();
    let known = shape.iter().copied().filter(|&length| length != UNKNOWN).max().unwrap_or(1);
    shape.iter_mut().filter(|length| **length == UNKNOWN).for_each(|length| *length = known);
    let longest = shape.iter().copied().max().unwrap_or(1).max(1) as f64;
    shape
        .iter()
        .map(|&length| {
            // The square root keeps very long and very short axes on one picture.
            let share = (length as f64 / longest).sqrt();
            size * share.max(THINNEST)
        })
        .collect()
}

struct Drawing {
    body: String,
    width: f64,
    height: f64,
}

impl Drawing {
    fn line(&mut self, from: (f64, f64), to: (f64, f64), is_outer: bool) {
        let width = if is_outer { 2 } else { 1 };
        let _ = writeln!(
            self.body,
            "  <line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        );
        self.width = self.width.max(from.0).max(to.0);
        self.height = self.height.max(from.1).max(to.1);
    }

    fn area(&mut self, corners: &[(f64, f64)]) {
        let points: Vec<String> = corners.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.body,
            "  <polygon points=\"{}\" fill=\"#e0a458\" fill-opacity=\"0.7\" stroke=\"none\"/>",
            points.join(" ")
        );
    }

    fn text(&mut self, at: (f64, f64), text: &str, anchor: &str) {
        let _ = writeln!(
            self.body,
            "  <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"13\" text-anchor=\"{anchor}\" fill=\"currentColor\" stroke=\"none\">{text}</text>",
            at.0, at.1
        );
    }

    /// A face with lines at the marks: `origin` and two edges.
    fn face(&mut self, origin: (f64, f64), down: ((f64, f64), &[f64]), right: ((f64, f64), &[f64])) {
        let at = |i: f64, j: f64| (origin.0 + down.0.0 * i + right.0.0 * j, origin.1 + down.0.1 * i + right.0.1 * j);
        let (bottom, side) = (down.1.last().copied().unwrap_or(0.0), right.1.last().copied().unwrap_or(0.0));
        self.area(&[at(0.0, 0.0), at(0.0, side), at(bottom, side), at(bottom, 0.0)]);
        for &mark in down.1 {
            self.line(at(mark, 0.0), at(mark, side), mark == 0.0 || mark == bottom);
        }
        for &mark in right.1 {
            self.line(at(0.0, mark), at(bottom, mark), mark == 0.0 || mark == side);
        }
    }
}

/// The picture of an array of one, two or three dimensions, the longest side
/// `size` pixels long; of the last three axes if there are more, and an empty
/// text for a single number.
#[must_use]
pub fn svg(chunks: &Chunks, size: f64) -> String {
    let all_sides = sides(chunks, size);
    let shape = chunks.shape();
    let first = chunks.ndim().saturating_sub(3);
    let axes: Vec<usize> = (first..chunks.ndim()).collect();
    let mut drawing = Drawing { body: String::new(), width: 0.0, height: 0.0 };
    let marks_of = |axis: usize| marks(chunks, axis, all_sides[axis]);
    let (down, right) = ((0.0, 1.0), (1.0, 0.0));
    match axes[..] {
        [] => return String::new(),
        [x] => {
            let height = size * THINNEST * 2.0;
            drawing.face((0.0, 0.0), (down, &[0.0, height]), (right, &marks_of(x)));
            drawing.text((all_sides[x] / 2.0, height + 18.0), &shape[x].to_string(), "middle");
        }
        [y, x] => {
            drawing.face((0.0, 0.0), (down, &marks_of(y)), (right, &marks_of(x)));
            drawing.text((all_sides[x] / 2.0, all_sides[y] + 18.0), &shape[x].to_string(), "middle");
            drawing.text((all_sides[x] + 8.0, all_sides[y] / 2.0), &shape[y].to_string(), "start");
        }
        [z, y, x, ..] => {
            // The first axis runs back to the upper left at an angle.
            let (slant, depth) = (0.6, all_sides[z]);
            let (height, width) = (all_sides[y], all_sides[x]);
            let front = (depth * slant, depth * slant);
            let back = (slant, slant);
            drawing.face((0.0, 0.0), (back, &marks_of(z)), (right, &marks_of(x)));
            drawing.face((0.0, 0.0), (back, &marks_of(z)), (down, &marks_of(y)));
            drawing.face(front, (down, &marks_of(y)), (right, &marks_of(x)));
            drawing.text((front.0 + width / 2.0, front.1 + height + 18.0), &shape[x].to_string(), "middle");
            drawing.text((front.0 + width + 8.0, front.1 + height / 2.0), &shape[y].to_string(), "start");
            drawing.text((front.0 / 2.0 - 6.0, height + front.1 / 2.0 + 14.0), &shape[z].to_string(), "end");
        }
    }
    let (width, height) = (drawing.width + 70.0, drawing.height + 30.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"-20 -4 {width:.0} {height:.0}\" stroke=\"currentColor\">\n{}</svg>",
        drawing.body
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_a_line_for_each_border() {
        let picture = svg(&Chunks::from_sizes([vec![4, 4], vec![5, 5, 5]]), 120.0);
        assert_eq!(picture.matches("<line").count(), 3 + 4);
        assert!(picture.contains(">8<") && picture.contains(">15<"));
        assert_eq!(
            svg(&Chunks::from_sizes([vec![2, 2], vec![3], vec![4, 4, 4]]), 120.0).matches("<polygon").count(),
            3
        );
        assert_eq!(svg(&Chunks::whole(&[]), 120.0), "");
    }

    #[test]
    fn many_chunks_stay_a_small_picture() {
        let picture = svg(&Chunks::from_sizes([vec![1; 100_000]]), 120.0);
        assert!(picture.len() < 20_000, "{}", picture.len());
    }
}
