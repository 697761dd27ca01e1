//! `co_lnotab` of 3.8 and 3.9 (`Objects/lnotab_notes.txt`): pairs of an unsigned step in bytes and
//! a signed step in lines.

/// The line of the instruction at byte offset `address`, as `PyCode_Addr2Line` computes it
/// (`Objects/codeobject.c`).
pub(super) fn line(table: &[u8], first_line: i32, address: i64) -> i32 {
    let mut line = first_line;
    let mut at = 0;
    for pair in table.chunks_exact(2) {
        at += i64::from(pair[0]);
        if at > address {
            break;
        }
        line = line.wrapping_add(pair[1].cast_signed().into());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn lines_go_forwards_and_back() {
        let table = [6, 1, 8, 0xff, 0, 3];
        let lines = |address| line(&table, 10, address);
        assert_eq!([0, 5, 6, 13, 14, 100].map(lines), [10, 10, 11, 11, 13, 13]);
    }

    #[test]
    fn before_the_first_instruction_is_the_first_line() {
        assert_eq!(line(&[0, 5, 2, 1], 10, -1), 10);
        assert_eq!(line(&[], 10, 4), 10);
    }
}
