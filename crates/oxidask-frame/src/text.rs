//! Functions of strings. Those that Polars has in the features we build are
//! its own; patterns, replacing and filling are done here.

use crate::expression::Text;
use oxidask_core::{Error, Result};
use polars::lazy::dsl::{self, Expr, lit, when};
use polars::prelude::*;
use regex::{NoExpand, Regex};
use std::borrow::Cow;

/// The function of these strings.
pub(crate) fn text(function: &Text, strings: Expr) -> Result<Expr> {
    let characters = |characters: &Option<String>| characters.as_deref().map_or_else(|| lit(NULL), lit);
    Ok(match function {
        Text::Lower => strings.str().to_lowercase(),
        Text::Upper => strings.str().to_uppercase(),
        Text::Len => strings.str().len_chars().cast(DataType::Int64),
        Text::Strip(chars) => strings.str().strip_chars(characters(chars)),
        Text::LStrip(chars) => strings.str().strip_chars_start(characters(chars)),
        Text::RStrip(chars) => strings.str().strip_chars_end(characters(chars)),
        Text::StartsWith(prefix) => strings.str().starts_with(lit(prefix.as_str())),
        Text::EndsWith(suffix) => strings.str().ends_with(lit(suffix.as_str())),
        Text::Contains { pattern, regex, case } => contains(strings, pattern, *regex, *case)?,
        Text::Replace { pattern, with, regex } => replace(strings, pattern, with, *regex)?,
        Text::Slice(start, stop) => slice(strings, *start, *stop),
        Text::ZFill(width) => {
            let width = *width as usize;
            map_strings(strings, move |text| fill(text, width))
        }
        Text::SplitGet { separator, piece } => {
            strings.str().split(lit(separator.as_str())).list().get(lit(*piece), true)
        }
    })
}

fn compile(pattern: &str, regex: bool, case: bool) -> Result<Regex> {
    let pattern = if regex { pattern.to_owned() } else { regex::escape(pattern) };
    let pattern = if case { pattern } else { format!("(?i){pattern}") };
    Regex::new(&pattern).map_err(|cause| {
        Error::value(format!("'{pattern}' is not a regular expression: {cause}"))
            .with_hint("pass regex=False to look for the text itself")
    })
}

fn contains(strings: Expr, pattern: &str, regex: bool, case: bool) -> Result<Expr> {
    let plain = (!regex && case).then(|| pattern.to_owned());
    let regex = compile(pattern, regex, case)?;
    Ok(strings.map(
        move |column| {
            let found: BooleanChunked = match &plain {
                Some(plain) => {
                    column.str()?.apply_nonnull_values_generic(DataType::Boolean, |text| text.contains(plain.as_str()))
                }
                None => column.str()?.apply_nonnull_values_generic(DataType::Boolean, |text| regex.is_match(text)),
            };
            Ok(found.with_name(column.name().clone()).into_column())
        },
        |_, field| Ok(Field::new(field.name().clone(), DataType::Boolean)),
    ))
}

fn replace(strings: Expr, pattern: &str, with: &str, is_regex: bool) -> Result<Expr> {
    let regex = compile(pattern, is_regex, true)?;
    let with = if is_regex { group_references(with) } else { with.to_owned() };
    Ok(map_strings(strings, move |text| {
        if is_regex { regex.replace_all(text, with.as_str()) } else { regex.replace_all(text, NoExpand(&with)) }
    }))
}

/// Python's `\1` and `\g<name>` in the spelling of Rust's regex crate.
fn group_references(with: &str) -> String {
    let with = with.replace('$', "$$");
    let numbered = Regex::new(r"\\(\d+)").expect("the pattern is fixed");
    let with = numbered.replace_all(&with, "$${$1}");
    let named = Regex::new(r"\\g<(\w+)>").expect("the pattern is fixed");
    named.replace_all(&with, "$${$1}").into_owned()
}

fn map_strings(strings: Expr, function: impl for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync + 'static) -> Expr {
    strings.map(
        move |column| {
            let strings = column.str()?;
            let mut mapped = StringChunkedBuilder::new(column.name().clone(), strings.len());
            for text in strings.iter() {
                match text {
                    Some(text) => mapped.append_value(function(text)),
                    None => mapped.append_null(),
                }
            }
            Ok(mapped.finish().into_column())
        },
        |_, field| Ok(field.clone()),
    )
}

/// At least so many characters, with zeros after a sign.
fn fill(text: &str, width: usize) -> Cow<'_, str> {
    let missing = width.saturating_sub(text.chars().count());
    if missing == 0 {
        return Cow::Borrowed(text);
    }
    let sign = if text.starts_with(['+', '-']) { 1 } else { 0 };
    let (sign, digits) = text.split_at(sign);
    Cow::Owned(format!("{sign}{}{digits}", "0".repeat(missing)))
}

/// Python's slice of every string.
fn slice(strings: Expr, start: Option<i64>, stop: Option<i64>) -> Expr {
    let length = strings.clone().str().len_chars().cast(DataType::Int64);
    let position = |at: i64| {
        let from_end = length.clone() + lit(at);
        if at < 0 { when(from_end.clone().lt(lit(0_i64))).then(lit(0_i64)).otherwise(from_end) } else { lit(at) }
    };
    let from = start.unwrap_or(0);
    match stop {
        None => strings.str().slice(lit(from), lit(NULL)),
        Some(stop) if from >= 0 && stop >= from => strings.str().slice(lit(from), lit((stop - from) as u64)),
        Some(stop) => {
            let (from, to) = (position(from), position(stop));
            let count = when(to.clone().gt(from.clone())).then(to - from.clone()).otherwise(dsl::lit(0_i64));
            strings.str().slice(from, count.cast(DataType::UInt64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(function: Text, texts: &[Option<&str>]) -> Vec<Option<String>> {
        let frame = df!("x" => texts).unwrap();
        let result = frame.lazy().select([text(&function, dsl::col("x")).unwrap()]).collect().unwrap();
        let strings = result.columns()[0].cast(&DataType::String).unwrap();
        strings.str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn slices_are_pythons() {
        let cases = [
            (Some(1), Some(3), "el"),
            (Some(-3), None, "llo"),
            (None, Some(-1), "hell"),
            (Some(-4), Some(-2), "el"),
            (Some(3), Some(1), ""),
        ];
        for (start, stop, wanted) in cases {
            let got = apply(Text::Slice(start, stop), &[Some("hello"), None]);
            assert_eq!(got, [Some(wanted.to_owned()), None], "[{start:?}:{stop:?}]");
        }
    }

    #[test]
    fn patterns_are_pythons() {
        let replace = Text::Replace { pattern: r"(\w)-(\w)".to_owned(), with: r"\2$\1".to_owned(), regex: true };
        assert_eq!(apply(replace, &[Some("a-b")]), [Some("b$a".to_owned())]);
        let literal = Text::Replace { pattern: ".".to_owned(), with: "$0".to_owned(), regex: false };
        assert_eq!(apply(literal, &[Some("a.b"), None]), [Some("a$0b".to_owned()), None]);
        assert_eq!(
            apply(Text::ZFill(5), &[Some("-12"), Some("123456")]),
            [Some("-0012".to_owned()), Some("123456".to_owned())]
        );
        assert!(text(&Text::Contains { pattern: "(".to_owned(), regex: true, case: true }, dsl::col("x")).is_err());
    }
}
