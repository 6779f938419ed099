//! `json.dumps` with its default arguments.

use super::cell::Cell;
use super::text::float_repr;
use crate::json::{Beyond, Json, Raw};
use std::fmt::Write as _;

/// The value as `json.dumps` writes it.
pub(super) fn dumps(cell: &Cell<'_>) -> Result<String, Beyond> {
    let mut out = String::new();
    dump(cell, &mut out)?;
    Ok(out)
}

fn dump(cell: &Cell<'_>, out: &mut String) -> Result<(), Beyond> {
    match cell {
        Cell::None => out.push_str("null"),
        Cell::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Cell::Int(value) => write!(out, "{value}").map_err(|_| Beyond)?,
        Cell::Float(value) => dump_float(*value, out),
        Cell::Str(text) => dump_text(text, out),
        Cell::List(cells) | Cell::Tuple(cells) => {
            out.push('[');
            for (number, cell) in cells.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { ", " });
                dump(cell, out)?;
            }
            out.push(']');
        }
        Cell::Json(raw, _) => dump_raw(*raw, out)?,
    }
    Ok(())
}

fn dump_raw(raw: Raw<'_>, out: &mut String) -> Result<(), Beyond> {
    match raw.decode()? {
        Json::Array(raw) => {
            out.push('[');
            let mut is_first = true;
            raw.each_element(|element| {
                out.push_str(if std::mem::take(&mut is_first) { "" } else { ", " });
                dump_raw(element, out)
            })?;
            out.push(']');
        }
        Json::Object(raw) => {
            let mut seen: Vec<String> = Vec::new();
            out.push('{');
            raw.each_member(|key, value| {
                // A repeated key takes the place of the first; rare enough for Python.
                if seen.iter().any(|other| *other == *key) {
                    return Err(Beyond);
                }
                out.push_str(if seen.is_empty() { "" } else { ", " });
                dump_text(&key, out);
                out.push_str(": ");
                seen.push(key.into_owned());
                dump_raw(value, out)
            })?;
            out.push('}');
        }
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Json::Int(value) => write!(out, "{value}").map_err(|_| Beyond)?,
        Json::Float(value) => dump_float(value, out),
        Json::Str(text) => dump_text(&text, out),
    }
    Ok(())
}

fn dump_float(value: f64, out: &mut String) {
    match value {
        value if value.is_nan() => out.push_str("NaN"),
        f64::INFINITY => out.push_str("Infinity"),
        f64::NEG_INFINITY => out.push_str("-Infinity"),
        value => out.push_str(&float_repr(value)),
    }
}

fn dump_text(text: &str, out: &mut String) {
    out.push('"');
    for symbol in text.chars() {
        match symbol {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(symbol),
            symbol => {
                let mut units = [0; 2];
                for unit in symbol.encode_utf16(&mut units) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}
