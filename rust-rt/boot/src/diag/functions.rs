//! The table of functions that have unwind tables: `.eh_frame_hdr` as GNU ld writes it, with one line for each function
//! in the order of their addresses.

/// A line of the table.
#[derive(Debug, PartialEq)]
pub(super) struct Function {
    /// Its first instruction.
    pub(super) start: *const u8,
    /// Its entry in `.eh_frame`.
    pub(super) entry: *const u8,
}

/// The function in this table that contains `address`.
///
/// # Safety
///
/// `header` must be a table as GNU ld writes it, of functions described with addresses of 32 bits.
pub(super) unsafe fn find(header: *const u8, address: *const u8) -> Option<Function> {
    let word = |at: *const u8| {
        // SAFETY: `at` is within the table, or within one of the entries that it refers to.
        (unsafe { at.cast::<i32>().read_unaligned() }) as isize
    };
    let line = |i: isize| header.wrapping_offset(12 + 8 * i);
    let start = |i: isize| header.wrapping_offset(word(line(i)));
    let (mut low, mut high) = (0, word(header.wrapping_add(8)));
    while low < high {
        let middle = (low + high) / 2;
        if start(middle) <= address {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low == 0 {
        return None;
    }
    let entry = header.wrapping_offset(word(line(low - 1).wrapping_add(4)));
    let start = start(low - 1);
    // Length, CIE, start, and then the number of bytes.
    let length = word(entry.wrapping_add(12));
    (address < start.wrapping_offset(length)).then_some(Function { start, entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of two functions, of 16 bytes at 1000 behind it and of 4 bytes at 2000.
    fn table() -> [i32; 15] {
        let (header, lines) = ([1, 0, 2], [1000, 28, 2000, 44]);
        let (first, second) = ([12, 0, 0, 16], [12, 0, 0, 4]);
        let mut table = [0; 15];
        for (word, value) in
            table.iter_mut().zip(header.iter().chain(&lines).chain(&first).chain(&second))
        {
            *word = *value;
        }
        table
    }

    #[test]
    fn a_function_is_found_from_its_first_byte_to_its_last() {
        let table = table();
        let header = table.as_ptr().cast::<u8>();
        // SAFETY: made above as ld does.
        let at = |offset| unsafe { find(header, header.wrapping_add(offset)) };
        let function = |start, entry| {
            Some(Function { start: header.wrapping_add(start), entry: header.wrapping_add(entry) })
        };
        for (offset, expected) in [
            (999, None),
            (1000, function(1000, 28)),
            (1015, function(1000, 28)),
            (1016, None),
            (1999, None),
            (2000, function(2000, 44)),
            (2003, function(2000, 44)),
            (2004, None),
        ] {
            assert_eq!(at(offset), expected, "{offset}");
        }
    }

    #[test]
    fn an_empty_table_has_no_function() {
        let table = [1, 0, 0];
        let header = table.as_ptr().cast::<u8>();
        // SAFETY: a table without lines.
        assert_eq!(unsafe { find(header, header) }, None);
    }
}
