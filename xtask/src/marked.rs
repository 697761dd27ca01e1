//! Parts of a document that a task writes, between two marks.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Puts `text` between the marks of the part `name`, which `cargo xtask NAME` writes.
pub(crate) fn write(path: &Path, name: &str, text: &str) -> Result<()> {
    let old =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let new = replaced(&old, name, text)
        .with_context(|| format!("failed to update {}", path.display()))?;
    fs::write(path, new).with_context(|| format!("failed to write {}", path.display()))
}

fn replaced(old: &str, name: &str, text: &str) -> Result<String> {
    let begin_mark = format!("<!-- {name}: written by `cargo xtask {name}` -->\n");
    let end_mark = format!("<!-- end of {name} -->\n");
    let (Some(begin), Some(end)) = (old.find(&begin_mark), old.find(&end_mark)) else {
        bail!("its marks {begin_mark:?} and {end_mark:?} are not there");
    };
    let before = &old[..begin + begin_mark.len()];
    Ok(format!("{before}\n{text}\n{}", &old[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let with = |text: &str| {
            format!(
                "above\n<!-- part: written by `cargo xtask part` -->\n{text}<!-- end of part -->\n\
                 below\n"
            )
        };
        assert_eq!(replaced(&with("old\n"), "part", "new").unwrap(), with("\nnew\n"));
        assert!(replaced("no marks", "part", "new").is_err());
    }
}
