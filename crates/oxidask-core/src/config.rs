//! Settings of the engine, by the names that Dask gives them.
//!
//! [`SETTINGS`] is the one list: name, default, meaning. A value set by the
//! program wins over the environment variable `OXIDASK_…` (dots become `__`,
//! dashes `_`), which wins over the default.

use crate::error::{Error, Result};
use hashbrown::HashMap;
use parking_lot::RwLock;
use std::sync::LazyLock;
use std::time::Duration;

/// A row of the table of settings.
pub struct SettingRow {
    /// Dotted name, as in Dask's configuration.
    pub name: &'static str,
    /// Default, as text; empty means unset.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

const fn row(name: &'static str, default: &'static str, doc: &'static str) -> SettingRow {
    SettingRow { name, default, doc }
}

/// Every setting the engine reads.
pub const SETTINGS: &[SettingRow] = &[
    row("num-workers", "", "Threads (or child processes) of the local executors; all cores if unset."),
    row(
        "memory-limit",
        "",
        "Bytes of results the local executors hold in memory before they spill; 60 % of the machine's memory if unset.",
    ),
    row(
        "temporary-directory",
        "",
        "Folder for spilled results, or several with ':' between, which take turns; the system's folder for temporary files if unset.",
    ),
    row(
        "distributed.worker.memory.target",
        "0.60",
        "Fraction of the limit of managed bytes beyond which results are spilled.",
    ),
    row(
        "distributed.worker.memory.spill",
        "0.70",
        "Fraction of the limit of process memory beyond which results are spilled.",
    ),
    row(
        "distributed.worker.memory.max-spill",
        "",
        "Most bytes of spilled results at once; no limit if unset or false.",
    ),
    row("distributed.worker.memory.pause", "0.80", "Fraction of the limit beyond which no new task starts."),
    row("distributed.worker.memory.terminate", "0.95", "Fraction of the limit beyond which a worker is restarted."),
    row(
        "distributed.scheduler.allowed-failures",
        "3",
        "Crashes of its own process that a task may cause before it is given up.",
    ),
    row("distributed.comm.timeouts.connect", "30s", "Longest wait for a connection."),
    row(
        "distributed.comm.reconnect-grace",
        "30s",
        "How long a client or worker whose connection dropped tries to come back, and how long it is waited for.",
    ),
    row(
        "distributed.comm.require-encryption",
        "",
        "Whether connections that leave the machine must be encrypted; true unless set to false.",
    ),
    row(
        "distributed.scheduler.locks.lease-timeout",
        "5s",
        "How long a client whose connection broke may be away before what it has locked is free again.",
    ),
    row(
        "distributed.scheduler.journal-limit",
        "64MiB",
        "Bytes of a scheduler's journal beyond which it is made smaller when there is no task.",
    ),
    row("distributed.scheduler.worker-ttl", "30s", "A worker that says nothing for this long is taken for lost."),
    row("array.chunk-size", "128MiB", "Largest block that an automatic chunk size of an array makes."),
];

static SET: LazyLock<RwLock<HashMap<String, String>>> = LazyLock::new(RwLock::default);

/// The value of a setting as text, or none if it is unset.
///
/// # Errors
/// If there is no such setting.
pub fn get(name: &str) -> Result<Option<String>> {
    let row = SETTINGS.iter().find(|row| row.name == name).ok_or_else(|| unknown(name))?;
    if let Some(value) = SET.read().get(name) {
        return Ok(Some(value.clone()));
    }
    let variable = format!("OXIDASK_{}", name.replace('.', "__").replace('-', "_").to_uppercase());
    let value = std::env::var(variable).unwrap_or_else(|_| row.default.to_owned());
    Ok((!value.is_empty()).then_some(value))
}

/// Sets a setting for this process; `None` goes back to environment or default.
///
/// # Errors
/// If there is no such setting.
pub fn set(name: &str, value: Option<&str>) -> Result<()> {
    if !SETTINGS.iter().any(|row| row.name == name) {
        return Err(unknown(name));
    }
    let mut settings = SET.write();
    match value {
        Some(value) => settings.insert(name.to_owned(), value.to_owned()),
        None => settings.remove(name),
    };
    Ok(())
}

/// What this process has set, by name: what a process that it starts has to be told.
#[must_use]
pub fn all_set() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = SET.read().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    all.sort_unstable();
    all
}

fn unknown(name: &str) -> Error {
    Error::missing(format!("there is no setting '{name}'")).with_hint("oxidask::core::config::SETTINGS lists them all")
}

/// A setting that is a plain number.
///
/// # Errors
/// If it is set to something else.
pub fn get_f64(name: &str) -> Result<Option<f64>> {
    get(name)?
        .map(|text| {
            text.trim().parse().map_err(|_| Error::value(format!("setting '{name}' is '{text}', not a number")))
        })
        .transpose()
}

/// A setting that is a number of bytes, such as `2 GiB`.
///
/// # Errors
/// If it is set to something else.
pub fn get_bytes(name: &str) -> Result<Option<u64>> {
    get(name)?.map(|text| parse_bytes(&text).map_err(|error| error.within(format!("setting '{name}'")))).transpose()
}

/// A setting that is a fraction of something; infinite if it is set to `false` or
/// unset, because what never is reached never happens.
///
/// # Errors
/// If it is set to something else.
pub fn get_fraction(name: &str) -> Result<f64> {
    match get(name)? {
        Some(text) if !text.eq_ignore_ascii_case("false") => Ok(get_f64(name)?.unwrap_or(f64::INFINITY)),
        _ => Ok(f64::INFINITY),
    }
}

/// A setting that is a length of time, such as `500ms`.
///
/// # Errors
/// If it is set to something else.
pub fn get_duration(name: &str) -> Result<Option<Duration>> {
    get(name)?.map(|text| parse_duration(&text).map_err(|error| error.within(format!("setting '{name}'")))).transpose()
}

fn split_number(text: &str) -> Option<(f64, String)> {
    let text = text.trim().replace(' ', "");
    let digits = text.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = if number.is_empty() { 1.0 } else { number.parse().ok()? };
    (number.is_finite() && number >= 0.0).then(|| (number, unit.to_ascii_lowercase()))
}

/// Bytes of a text such as `5kB`, `64 MiB`, `1e9` or `GB`.
///
/// # Errors
/// If the number or the unit is not understood.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let factor = |unit: &str| -> Option<f64> {
        let prefix = unit.strip_suffix('b').unwrap_or(unit);
        let (prefix, base) = prefix.strip_suffix('i').map_or((prefix, 1000.0_f64), |prefix| (prefix, 1024.0));
        let power = match prefix {
            "" => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            "p" => 5,
            _ => return None,
        };
        Some(base.powi(power))
    };
    split_number(text).and_then(|(number, unit)| factor(&unit).map(|factor| (number * factor) as u64)).ok_or_else(
        || Error::value(format!("'{text}' is not a number of bytes")).with_hint("write it as 500 MB or 2GiB"),
    )
}

/// Length of time of a text such as `500ms`, `2 minutes` or `1.5` (seconds).
///
/// # Errors
/// If the number or the unit is not understood.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let seconds = |unit: &str| -> Option<f64> {
        Some(match unit {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" | "millisecond" | "milliseconds" => 1e-3,
            "" | "s" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => return None,
        })
    };
    split_number(text)
        .and_then(|(number, unit)| seconds(&unit).map(|factor| number * factor))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            Error::value(format!("'{text}' is not a length of time")).with_hint("write it as 500ms or 2 minutes")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_all_spellings() {
        for (text, bytes) in
            [("5kB", 5_000), ("64 MiB", 64 << 20), ("1e3", 1_000), ("GB", 1_000_000_000), ("2.5k", 2_500)]
        {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        assert!(parse_bytes("12 parsecs").is_err());
    }

    #[test]
    fn durations_in_all_spellings() {
        assert_eq!(parse_duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse_duration("2 minutes").unwrap(), Duration::from_secs(120));
        assert_eq!(parse_duration("1.5").unwrap(), Duration::from_millis(1500));
        assert!(parse_duration("soon").is_err());
    }
}
