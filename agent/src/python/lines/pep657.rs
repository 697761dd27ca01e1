//! `co_linetable` of 3.11 and later (PEP 657, `Objects/locations.md`): entries of a head byte with
//! bit 7 set (4 bits of form, 3 bits of length − 1 in code units) and operands without it.

/// Forms whose head says all about the line.
const ONE_LINE_1: u8 = 11;
const ONE_LINE_2: u8 = 12;
/// Forms with a signed varint of lines as first operand.
const NO_COLUMNS: u8 = 13;
const LONG: u8 = 14;
/// Instructions without a line.
const NONE: u8 = 15;

/// Bytes of a code unit.
const UNIT: i64 = 2;

/// The line of the instruction at byte offset `address`, as `PyCode_Addr2Line` computes it
/// (`Objects/codeobject.c`).
pub(super) fn line(table: &[u8], first_line: i32, address: i64) -> Option<i32> {
    if address < 0 {
        return Some(first_line);
    }
    let mut line = first_line;
    let mut end = 0;
    let mut rest = table;
    while let Some((&head, tail)) = rest.split_first() {
        let operands = tail.iter().take_while(|byte| **byte & 0x80 == 0).count();
        let form = head >> 3 & 15;
        line = line.wrapping_add(match form {
            ONE_LINE_1 => 1,
            ONE_LINE_2 => 2,
            NO_COLUMNS | LONG => signed_varint(&tail[..operands]),
            _ => 0,
        });
        end += UNIT * (i64::from(head & 7) + 1);
        if end > address {
            return (form != NONE).then_some(line);
        }
        rest = &tail[operands..];
    }
    None
}

/// Groups of six bits, lowest first, bit 6 set on all but the last; the lowest bit of all is the
/// sign. Groups past 32 bits are dropped, as C does.
fn signed_varint(operands: &[u8]) -> i32 {
    let mut value: u32 = 0;
    for (index, byte) in operands.iter().take(6).enumerate() {
        value |= u32::from(byte & 0x3f) << (6 * index);
        if byte & 0x40 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn head(form: u8, units: u8) -> u8 {
        0x80 | form << 3 | (units - 1)
    }

    #[test]
    fn each_form_moves_the_line() {
        let table = [
            head(ONE_LINE_1, 1),
            0,
            5,
            head(LONG, 2),
            0x40 | 0b00_1000,
            0b1,
            0,
            1,
            1,
            head(NO_COLUMNS, 1),
            0b111,
            head(NONE, 1),
            head(0, 8),
            0x11,
        ];
        let lines = |address| line(&table, 10, address);
        let expected = [Some(11), Some(11 + 36), Some(11 + 36), Some(44), None, Some(44), None];
        assert_eq!([0, 2, 5, 6, 8, 25, 26].map(lines), expected);
    }

    #[test]
    fn before_the_first_instruction_is_the_first_line() {
        assert_eq!(line(&[head(ONE_LINE_2, 1), 0, 0], 10, -2), Some(10));
        assert_eq!(line(&[], 10, 0), None);
    }

    #[test]
    fn a_forged_varint_is_cut() {
        assert_eq!(signed_varint(&[0x7f; 100]), -(u32::MAX >> 1).cast_signed());
        assert_eq!(signed_varint(&[]), 0);
    }
}
