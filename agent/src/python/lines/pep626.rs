//! `co_linetable` of 3.10 (PEP 626, `Objects/lnotab_notes.txt`): pairs of an unsigned length in
//! bytes and a signed step in lines, −128 for instructions without a line.

/// The line of the instruction at byte offset `address`, as `PyCode_Addr2Line` computes it
/// (`Objects/codeobject.c`).
pub(super) fn line(table: &[u8], first_line: i32, address: i64) -> Option<i32> {
    if address < 0 {
        return Some(first_line);
    }
    let mut line = first_line;
    let mut end = 0;
    for pair in table.chunks_exact(2) {
        let step = pair[1].cast_signed();
        if step != i8::MIN {
            line = line.wrapping_add(step.into());
        }
        end += i64::from(pair[0]);
        if end > address {
            return (step != i8::MIN).then_some(line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn each_range_has_its_line() {
        let table = [4, 1, 0, 100, 6, 0x80, 2, 0xff];
        let lines = |address| line(&table, 10, address);
        assert_eq!(
            [0, 2, 4, 8, 10, 12].map(lines),
            [Some(11), Some(11), None, None, Some(110), None]
        );
    }

    #[test]
    fn before_the_first_instruction_is_the_first_line() {
        assert_eq!(line(&[2, 5], 10, -2), Some(10));
        assert_eq!(line(&[], 10, 0), None);
    }
}
