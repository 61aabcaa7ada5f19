//! A library, with tests of its own.

/// The sum of two numbers.
pub fn sum(a: u32, b: u32) -> u32 {
    a + b
}

/// Half of a number.
///
/// ```
/// assert_eq!(library::half(84), 42);
/// assert!(std::env::var("FAIL").is_err(), "asked to fail");
/// ```
///
/// ```should_panic
/// assert_eq!(library::half(84), 43);
/// ```
///
/// ```compile_fail
/// library::half("a word");
/// ```
pub fn half(a: u32) -> u32 {
    a / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        println!("the sum is {}", sum(1, 2));
        assert_eq!(sum(1, 2), 3);
    }

    #[test]
    #[should_panic(expected = "overflow")]
    fn overflows() {
        sum(u32::MAX, 1);
    }

    #[test]
    fn fails_when_asked_to() {
        assert!(std::env::var("FAIL").is_err(), "asked to fail");
    }
}
