//! Units of time, and conversion between counts of them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What times are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unit {
    Generic,
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Milli,
    Micro,
    Nano,
    Pico,
    Femto,
    Atto,
}

/// The units with NumPy's codes and, from the week on, how many of the next
/// finer one they hold.
const UNITS: [(Unit, &str, i64); 13] = [
    (Unit::Year, "Y", 12),
    (Unit::Month, "M", 0),
    (Unit::Week, "W", 7),
    (Unit::Day, "D", 24),
    (Unit::Hour, "h", 60),
    (Unit::Minute, "m", 60),
    (Unit::Second, "s", 1000),
    (Unit::Milli, "ms", 1000),
    (Unit::Micro, "us", 1000),
    (Unit::Nano, "ns", 1000),
    (Unit::Pico, "ps", 1000),
    (Unit::Femto, "fs", 1000),
    (Unit::Atto, "as", 1),
];

/// A number of units: `[25s]` counts in steps of 25 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimeUnit {
    /// The unit.
    pub unit: Unit,
    /// How many of it one step is.
    pub count: u32,
}

impl TimeUnit {
    /// One of a unit.
    #[must_use]
    pub fn one(unit: Unit) -> Self {
        TimeUnit { unit, count: 1 }
    }

    /// The unit written as NumPy does: `[ns]`, `[25s]`, nothing for generic.
    #[must_use]
    pub fn parse(text: &str) -> Option<TimeUnit> {
        if text.is_empty() || text == "[generic]" {
            return Some(TimeUnit::one(Unit::Generic));
        }
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let digits = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count = if digits == 0 { 1 } else { inner[..digits].parse().ok().filter(|&count| count > 0)? };
        let code = if &inner[digits..] == "μs" { "us" } else { &inner[digits..] };
        let unit = UNITS.iter().find(|(_, known, _)| *known == code)?.0;
        Some(TimeUnit { unit, count })
    }

    /// The unit in which both can be counted.
    #[must_use]
    pub fn finer(self, other: TimeUnit) -> TimeUnit {
        if self.unit == Unit::Generic || self == other {
            return other;
        }
        if other.unit == Unit::Generic {
            return self;
        }
        let unit = self.unit.max(other.unit);
        let steps = |own: TimeUnit| own.steps_in(unit);
        match (steps(self), steps(other)) {
            (Some(a), Some(b)) => {
                let (mut a, mut b) = (a, b);
                while b != 0 {
                    (a, b) = (b, a % b);
                }
                TimeUnit { unit, count: u32::try_from(a).unwrap_or(1) }
            }
            // Months have no fixed number of days.
            _ => TimeUnit { unit, count: if self.unit == unit { self.count } else { other.count } },
        }
    }

    /// How many of a finer unit one step is, if that is always the same.
    fn steps_in(self, unit: Unit) -> Option<i64> {
        let of_months = |unit: Unit| unit <= Unit::Month;
        if self.unit > unit || of_months(self.unit) != of_months(unit) {
            return None;
        }
        UNITS
            .iter()
            .filter(|(own, ..)| *own >= self.unit && *own < unit)
            .try_fold(i64::from(self.count), |steps, (_, _, factor)| steps.checked_mul(*factor))
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((_, code, _)) = UNITS.iter().find(|(unit, ..)| *unit == self.unit) else { return Ok(()) };
        if self.count == 1 { write!(f, "[{code}]") } else { write!(f, "[{}{code}]", self.count) }
    }
}

/// The day, counted from 1970, on which a month begins that is counted likewise.
fn day_of_month(month: i64) -> i64 {
    let (year, month) = (1970 + month.div_euclid(12), month.rem_euclid(12));
    // Years begin in March here, so that leap days come last.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719_468
}

/// The month in which a day lies, both counted from 1970.
fn month_of_day(day: i64) -> i64 {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (year, month) = if month >= 10 { (year + 1, month - 10) } else { (year, month + 2) };
    (era * 400 + year - 1970) * 12 + month
}

/// A count of one unit as a count of another, rounded down. Moments go through
/// the calendar between months and days. The lowest count means "no time" and
/// stays; so does what does not fit 64 bits become.
#[must_use]
pub fn convert_ticks(ticks: i64, from: TimeUnit, to: TimeUnit, is_moment: bool) -> i64 {
    if ticks == i64::MIN || from.unit == Unit::Generic || to.unit == Unit::Generic {
        return ticks;
    }
    let total = i128::from(ticks) * i128::from(from.count);
    // In months, or in attoseconds, which i128 holds for every count of weeks.
    let fine = |unit: Unit| -> i128 {
        UNITS
            .iter()
            .filter(|(own, ..)| *own >= unit && *own >= Unit::Week)
            .fold(1_i128, |steps, (_, _, factor)| steps * i128::from(*factor))
    };
    let months = |unit: Unit| if unit == Unit::Year { 12_i128 } else { 1 };
    let (from_months, to_months) = (from.unit <= Unit::Month, to.unit <= Unit::Month);
    let of_day = fine(Unit::Day);
    let result = match (from_months, to_months) {
        (true, true) => Some((total * months(from.unit)).div_euclid(months(to.unit) * i128::from(to.count))),
        (false, false) => {
            total.checked_mul(fine(from.unit)).map(|total| total.div_euclid(fine(to.unit) * i128::from(to.count)))
        }
        (true, false) => {
            let month = i64::try_from(total * months(from.unit)).ok();
            month.and_then(|month| {
                let days = if is_moment { i128::from(day_of_month(month)) } else { i128::from(month) * 146_097 / 4800 };
                days.checked_mul(of_day).map(|total| total.div_euclid(fine(to.unit) * i128::from(to.count)))
            })
        }
        (false, true) => total.checked_mul(fine(from.unit)).and_then(|total| {
            let day = i64::try_from(total.div_euclid(of_day)).ok()?;
            let month =
                if is_moment { i128::from(month_of_day(day)) } else { (i128::from(day) * 4800).div_euclid(146_097) };
            Some(month.div_euclid(months(to.unit) * i128::from(to.count)))
        }),
    };
    result.and_then(|ticks| i64::try_from(ticks).ok()).unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> TimeUnit {
        TimeUnit::parse(text).unwrap()
    }

    #[test]
    fn units_read_and_write() {
        for text in ["", "[Y]", "[M]", "[25s]", "[ns]", "[2D]"] {
            assert_eq!(unit(text).to_string(), text);
        }
        assert!(TimeUnit::parse("[x]").is_none() && TimeUnit::parse("[0s]").is_none());
        assert_eq!(unit("[ms]").finer(unit("[ns]")), unit("[ns]"));
        assert_eq!(unit("[2h]").finer(unit("[3h]")), unit("[h]"));
        assert_eq!(unit("[Y]").finer(unit("[D]")), unit("[D]"));
    }

    #[test]
    fn ticks_go_through_the_calendar() {
        // 2000-03-01 is day 11017 and month 362 after 1970-01.
        assert_eq!(convert_ticks(11_017, unit("[D]"), unit("[M]"), true), 362);
        assert_eq!(convert_ticks(362, unit("[M]"), unit("[D]"), true), 11_017);
        assert_eq!(convert_ticks(11_016, unit("[D]"), unit("[Y]"), true), 30);
        assert_eq!(convert_ticks(-1, unit("[s]"), unit("[D]"), true), -1);
        assert_eq!(convert_ticks(2, unit("[h]"), unit("[25s]"), false), 288);
        assert_eq!(convert_ticks(1, unit("[W]"), unit("[as]"), false), i64::MIN);
        assert_eq!(convert_ticks(i64::MIN, unit("[D]"), unit("[ns]"), true), i64::MIN);
        for month in -2000..2000 {
            assert_eq!(month_of_day(day_of_month(month)), month);
            assert_eq!(month_of_day(day_of_month(month) - 1), month - 1);
        }
    }
}
