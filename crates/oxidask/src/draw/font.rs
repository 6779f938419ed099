//! The letters of a drawing.
//!
//! The font is embedded, so that a drawing looks the same on a machine without
//! any fonts. Ubuntu Light comes under the Ubuntu Font Licence.

use oxidask_core::{Error, Result};
use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, OutlineBuilder};

/// The embedded font at one size.
pub(super) struct Font {
    face: Face<'static>,
    scale: f32,
}

impl Font {
    /// The font with letters `size` units high.
    ///
    /// # Errors
    /// If the embedded font is damaged.
    pub(super) fn new(size: f64) -> Result<Self> {
        let face = Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0)
            .map_err(|cause| Error::value(format!("the embedded font cannot be read: {cause}")))?;
        let scale = size as f32 / f32::from(face.units_per_em());
        Ok(Font { face, scale })
    }

    /// How wide `text` is.
    pub(super) fn width(&self, text: &str) -> f64 {
        text.chars().map(|letter| f64::from(self.advance(letter))).sum()
    }

    fn advance(&self, letter: char) -> f32 {
        let glyph = self.face.glyph_index(letter).unwrap_or_default();
        f32::from(self.face.glyph_hor_advance(glyph).unwrap_or_default()) * self.scale
    }

    /// The outline of `text`, beginning at `x` on the base line `y`.
    pub(super) fn outline(&self, text: &str, x: f64, y: f64) -> Option<Path> {
        let mut outline = Outline { path: PathBuilder::new(), x: x as f32, y: y as f32, scale: self.scale };
        for letter in text.chars() {
            let glyph = self.face.glyph_index(letter).unwrap_or_default();
            self.face.outline_glyph(glyph, &mut outline);
            outline.x += self.advance(letter);
        }
        outline.path.finish()
    }
}

/// Moves a glyph, whose y grows upwards, to its place in the drawing.
struct Outline {
    path: PathBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Outline {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
