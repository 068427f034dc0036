//! Where in a store everything is: `space, length of the table's name, name, key`.

/// What a key of a store belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Space {
    /// `version` of a table's schema.
    Meta = b'm',
    /// A source's position; its name in the place of the table's.
    Position = b'p',
    /// A row: when it expires, which entry of `Expiry` it has, the value.
    Row = b'r',
    /// `when, key`: at that time the row is to be looked at.
    Expiry = b'x',
    /// `writer, source, line, nth`: the result of an event that is applied, and not done.
    Applied = b'a',
}

/// The beginning of all keys of a table in a space.
pub(super) fn prefix(space: Space, table: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + table.len() + 32);
    out.push(space as u8);
    // `State::table` refuses longer names; those of sources are cut in the length only, which keeps them apart still.
    out.extend_from_slice(&(table.len() as u16).to_be_bytes());
    out.extend_from_slice(table.as_bytes());
    out
}

/// The first key after all that begin with `prefix`; `None`: there is none after them.
pub(super) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_do_not_overlap() {
        let (short, long) = (prefix(Space::Row, "t"), prefix(Space::Row, "tt"));
        assert!(!long.starts_with(&short) && !short.starts_with(&long));
        assert!(after(&short).is_some_and(|after| after > [&short[..], &[0xff; 99]].concat()));
        assert_eq!(after(&[0xff, 0xff]), None);
        assert_eq!(after(&[1, 0xff]), Some(vec![2]));
    }
}
