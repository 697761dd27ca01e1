//! The tables by which exceptions find their way out (`.eh_frame`): which function an address
//! belongs to, and where its caller goes on.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, Encoding, EndianSlice, EvaluationResult, Expression,
    FrameDescriptionEntry, LittleEndian, Location, Register, RegisterRule, UnwindContext,
    UnwindExpression, UnwindSection, Value,
};

use crate::event;

/// Steps of one expression; the longest seen has a dozen.
const EXPRESSION: u32 = 128;

/// Bytes of a function's entry; all of them are gone through for one frame.
const LONGEST_ENTRY: usize = 64 << 10;

/// How the index is written: version, and the forms of the address of `.eh_frame` (4 bytes), of the
/// number of rows (4 bytes) and of the rows, which are two distances of 4 bytes from the index's own
/// start. All linkers write this one.
const INDEX: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Numbers of registers as the tables have them: the stack pointer, the frame pointer, and the one
/// that stands for the return address.
#[cfg(target_arch = "x86_64")]
mod machine {
    pub(super) const REGISTERS: usize = 17;
    pub(super) const STACK: usize = 7;
    pub(super) const FRAME: usize = 6;
    pub(super) const RETURN: usize = 16;
    /// All bits of an address.
    pub(super) const ADDRESS: u64 = u64::MAX;
}
#[cfg(target_arch = "aarch64")]
mod machine {
    pub(super) const REGISTERS: usize = 32;
    pub(super) const STACK: usize = 31;
    pub(super) const FRAME: usize = 29;
    pub(super) const RETURN: usize = 30;
    /// Return addresses may be signed, in bits that no address of user space has.
    pub(super) const ADDRESS: u64 = (1 << 48) - 1;
}
use machine::{ADDRESS, FRAME, REGISTERS, RETURN, STACK};

/// A thread's registers on its way outwards, as far as they are known.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    values: [Option<u64>; REGISTERS],
    /// It stands at the instruction itself, and not behind a call.
    innermost: bool,
    pc: u64,
}

impl Registers {
    pub(super) fn new(of: &event::Registers) -> Self {
        let mut values = [None; REGISTERS];
        values[RETURN] = Some(if RETURN == 16 { of.pc } else { of.lr });
        values[STACK] = Some(of.sp);
        values[FRAME] = Some(of.fp);
        Self { values, innermost: true, pc: of.pc }
    }

    /// Where the thread goes on.
    pub(super) fn pc(&self) -> u64 {
        self.pc
    }

    /// An address in the instruction that runs: a call is before where it goes on.
    pub(super) fn running(&self) -> u64 {
        self.pc.wrapping_sub(u64::from(!self.innermost))
    }

    fn get(&self, register: Register) -> Option<u64> {
        *self.values.get(usize::from(register.0))?
    }
}

/// The tables of one file.
pub(super) struct Tables {
    frames: Vec<u8>,
    index: Vec<u8>,
    frames_address: u64,
    index_address: u64,
    bases: BaseAddresses,
}

impl Tables {
    /// `.eh_frame` and the index of it, each with the address that the file gives it.
    pub(super) fn new(frames: (u64, Vec<u8>), index: (u64, Vec<u8>), text: u64, got: u64) -> Self {
        let (frames_address, frames) = frames;
        let (index_address, index) = index;
        let bases = BaseAddresses::default();
        let bases = bases.set_eh_frame(frames_address).set_text(text).set_got(got);
        Self { frames, index, frames_address, index_address, bases }
    }

    /// Bytes of memory that they take.
    pub(super) fn cost(&self) -> u64 {
        (self.frames.len() + self.index.len()) as u64
    }

    fn section(&self) -> EhFrame<Slice<'_>> {
        let mut section = EhFrame::new(&self.frames, LittleEndian);
        section.set_address_size(8);
        #[cfg(target_arch = "aarch64")]
        section.set_vendor(gimli::Vendor::AArch64);
        section
    }

    /// Where in `.eh_frame` the entry lies of the last function that begins at an address of the
    /// file or before. Looked up here and not by gimli, whose sums go past 64 bits where an index
    /// claims more rows than there are.
    fn offset(&self, address: u64) -> Option<usize> {
        let rows = self.index.strip_prefix(&INDEX)?.get(4..)?;
        let (count, rows) = rows.split_first_chunk()?;
        let (rows, _) = rows.as_chunks::<8>();
        let rows = &rows[..rows.len().min(u32::from_le_bytes(*count) as usize)];
        let at = |[a, b, c, d]: [u8; 4]| {
            self.index_address.wrapping_add_signed(i32::from_le_bytes([a, b, c, d]).into())
        };
        let after = rows.partition_point(|&[a, b, c, d, ..]| at([a, b, c, d]) <= address);
        let &[.., a, b, c, d] = rows.get(after.checked_sub(1)?)?;
        usize::try_from(at([a, b, c, d]).checked_sub(self.frames_address)?).ok()
    }

    /// The entry of the function at an address of the file.
    pub(super) fn entry(&self, address: u64) -> Option<FrameDescriptionEntry<Slice<'_>>> {
        let section = self.section();
        let offset = self.offset(address)?.into();
        let entry = section.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
        let size = entry.entry_len().max(entry.cie().entry_len());
        (size <= LONGEST_ENTRY && entry.contains(address)).then_some(entry)
    }

    /// The first address of the function at an address of the file.
    pub(super) fn function(&self, address: u64) -> Option<u64> {
        Some(self.entry(address)?.initial_address())
    }

    /// Goes to the caller of the function that runs; `bias` is what is added to the file's
    /// addresses. `None` where there is none, or where it cannot be told.
    pub(super) fn outwards(
        &self,
        registers: &mut Registers,
        bias: u64,
        context: &mut UnwindContext<usize>,
        memory: &dyn Fn(u64) -> Option<u64>,
    ) -> Option<()> {
        let address = registers.running().wrapping_sub(bias);
        let section = self.section();
        let entry = self.entry(address)?;
        let encoding = entry.cie().encoding();
        let row = entry.unwind_info_for_address(&section, &self.bases, context, address).ok()?;
        let of = |expression: &UnwindExpression<usize>, initial| {
            evaluate(expression.get(&section).ok()?, encoding, registers, initial, memory)
        };
        let frame = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                registers.get(*register)?.wrapping_add_signed(*offset)
            }
            CfaRule::Expression(expression) => of(expression, None)?,
        };
        let stack = registers.values[STACK]?;
        // Each call takes room on the stack; only the innermost function may have none.
        if frame < stack || (frame == stack && !registers.innermost) {
            return None;
        }
        let mut next = registers.clone();
        next.values[STACK] = Some(frame);
        let mut returns = false;
        for (register, rule) in row.registers() {
            let number = usize::from(register.0);
            let value = match rule {
                RegisterRule::SameValue => registers.get(*register),
                RegisterRule::Offset(offset) => memory(frame.wrapping_add_signed(*offset)),
                RegisterRule::ValOffset(offset) => Some(frame.wrapping_add_signed(*offset)),
                RegisterRule::Register(other) => registers.get(*other),
                RegisterRule::Expression(expression) => {
                    of(expression, Some(frame)).and_then(memory)
                }
                RegisterRule::ValExpression(expression) => of(expression, Some(frame)),
                _ => None,
            };
            if let Some(slot) = next.values.get_mut(number) {
                *slot = value;
            }
            returns |= number == RETURN;
        }
        // On aarch64 a function that calls none leaves its return address in the register.
        if !returns && (cfg!(target_arch = "x86_64") || !registers.innermost) {
            return None;
        }
        next.pc = next.values[RETURN]? & ADDRESS;
        next.innermost = false;
        *registers = next;
        Some(())
    }
}

/// What an expression of the tables comes to.
fn evaluate(
    expression: Expression<Slice<'_>>,
    encoding: Encoding,
    registers: &Registers,
    initial: Option<u64>,
    memory: &dyn Fn(u64) -> Option<u64>,
) -> Option<u64> {
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(EXPRESSION);
    if let Some(initial) = initial {
        evaluation.set_initial_value(initial);
    }
    let mut result = evaluation.evaluate().ok()?;
    loop {
        result = match result {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = match usize::from(register.0) {
                    // The instruction pointer, which the entries of the linkage table look at.
                    RETURN if cfg!(target_arch = "x86_64") => registers.pc,
                    _ => registers.get(register)?,
                };
                evaluation.resume_with_register(Value::Generic(value)).ok()?
            }
            EvaluationResult::RequiresMemory { address, size: 8, space: None, .. } => {
                evaluation.resume_with_memory(Value::Generic(memory(address)?)).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.as_result().last()?.location {
        Location::Address { address } => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One function from 0x1000 on whose entry has `more` instructions that do nothing.
    fn tables(more: usize, index: &[u32]) -> Tables {
        let common = *b"\x14\0\0\0\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0";
        let mut frames = common.to_vec();
        let (at, size) = (frames.len() as u32, 13 + more as u32);
        for word in [size, at + 4, 0x1000u32.wrapping_sub(0x8000 + at + 8), 0x40] {
            frames.extend_from_slice(&word.to_le_bytes());
        }
        frames.resize(frames.len() + 1 + more, 0);
        let rows = index.iter().flat_map(|word| word.to_le_bytes());
        let index = INDEX.into_iter().chain(rows).collect();
        Tables::new((0x8000, frames), (0x9000, index), 0, 0)
    }

    /// Exercise an index that claims rows that are not there, and one that leads out of the entries.
    #[test]
    fn an_index_is_as_long_as_it_is() {
        let (start, entry) = (0x1000u32.wrapping_sub(0x9000), 0x8018u32.wrapping_sub(0x9000));
        for count in [1, 2, u32::MAX] {
            let tables = tables(0, &[0, count, start, entry]);
            assert_eq!(tables.function(0x103f), Some(0x1000));
            assert_eq!((tables.function(0xfff), tables.function(0x1040)), (None, None));
        }
        for wrong in [&[0][..], &[0, 0, start, entry], &[0, 1, start], &[0, 1, start, 0x8000_0000]]
        {
            assert_eq!(tables(0, wrong).function(0x1000), None);
        }
    }

    /// Exercise an entry that would keep whoever reads it busy.
    #[test]
    fn an_entry_without_end_is_left_alone() {
        let (start, entry) = (0x1000u32.wrapping_sub(0x9000), 0x8018u32.wrapping_sub(0x9000));
        let function = |more| tables(more, &[0, 1, start, entry]).function(0x1000);
        assert_eq!(function(LONGEST_ENTRY - 13), Some(0x1000));
        assert_eq!(function(LONGEST_ENTRY - 12), None);
    }
}
