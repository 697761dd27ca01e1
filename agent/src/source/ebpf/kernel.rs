//! Which kernel this is.

/// The kernel's release, as it is written, and its first two numbers where it has them.
pub fn release() -> (String, Option<(u32, u32)>) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let known = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    };
    (release, known)
}

/// Whether a program can ask for the registers that a thread has in user space.
pub(super) fn has_user_registers() -> bool {
    release().1.is_some_and(|release| release >= (5, 15))
}

/// Whether a uprobe takes no more than what loading takes, and a `uprobe_multi` link takes a pid for
/// a process's: before 6.10 it is a thread's.
pub fn has_uprobe_links() -> bool {
    release().1.is_some_and(|release| release >= (6, 10))
}
