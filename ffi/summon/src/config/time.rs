//! Lengths of time as people write them.

use std::time::Duration;

/// Units, the shortest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a whole number and a unit: `500ms`, `30s`, `5m`, `2h`, `1d`. `None` if it is none, or is nothing or more than
/// a year.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    let length = number.parse::<u64>().ok()?.checked_mul(*unit)?;
    (1..=366 * 86_400_000).contains(&length).then(|| Duration::from_millis(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        for (text, ms) in
            [("1ms", 1), ("30s", 30_000), ("5m", 300_000), ("2 h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in
            ["", "5", "s", "0s", "-1s", "1.5s", "5 minutes", "99999999999999999999s", "400d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
