//! The tables by which exceptions find their way out (`.eh_frame`): which function an address
//! belongs to, and where its caller goes on.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, Encoding, EndianSlice, EvaluationResult,
    Expression, FrameDescriptionEntry, LittleEndian, Location, Pointer, Register, RegisterRule,
    UnwindContext, UnwindExpression, UnwindSection, Value,
};

use crate::event;

/// Steps of one expression; the longest seen has a dozen.
const EXPRESSION: u32 = 128;

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
    bases: BaseAddresses,
}

impl Tables {
    /// `.eh_frame` and the index of it, each with the address that the file gives it.
    pub(super) fn new(frames: (u64, Vec<u8>), index: (u64, Vec<u8>), text: u64, got: u64) -> Self {
        let bases = BaseAddresses::default()
            .set_eh_frame(frames.0)
            .set_eh_frame_hdr(index.0)
            .set_text(text)
            .set_got(got);
        Self { frames: frames.1, index: index.1, bases }
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

    /// The entry of the function at an address of the file.
    fn entry(&self, address: u64) -> Option<FrameDescriptionEntry<Slice<'_>>> {
        let index = EhFrameHdr::new(&self.index, LittleEndian).parse(&self.bases, 8).ok()?;
        let table = index.table()?;
        let section = self.section();
        let pointer = table.lookup(address, &self.bases).ok()?;
        let Pointer::Direct(_) = pointer else { return None };
        let offset = table.pointer_to_offset(pointer).ok()?;
        let entry = section.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
        entry.contains(address).then_some(entry)
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
