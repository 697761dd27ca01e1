//! What somebody may have meant.

/// The known name that is most like the unknown one, as a whole or after its last dot; nothing when
/// none is known.
pub(super) fn nearest<N: AsRef<str>>(
    known: impl IntoIterator<Item = N>,
    unknown: &str,
) -> Option<N> {
    let likeness = |name: &N| {
        let name = name.as_ref();
        let part = name.rsplit('.').next().unwrap_or(name);
        strsim::jaro_winkler(unknown, name).max(strsim::jaro_winkler(unknown, part))
    };
    known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
