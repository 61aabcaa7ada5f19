//! A library, with tests of its own.

/// The sum of two numbers.
pub fn sum(a: u32, b: u32) -> u32 {
    a + b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
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
