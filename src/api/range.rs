//! One byte range of a representation (RFC 9110 section 14).

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: there is no header, or one that may be passed over.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that there are none of.
    Unsatisfiable,
}

/// Reads a `Range` header against the length of the representation. Several ranges at once, other units and
/// malformed headers are passed over: the whole representation is a correct answer to them.
pub(super) fn parse(header: Option<&str>, size: u64) -> Wanted {
    let Some(set) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = set.trim().split_once('-').filter(|_| !set.contains(',')) else {
        return Wanted::All;
    };
    let number = |text: &str| match text {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // Longer than any file: it ends where the file ends.
            Some(Some(text.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(Some(last))) if last < first => Wanted::All,
        (Some(Some(first)), Some(_)) if first >= size => Wanted::Unsatisfiable,
        (Some(Some(first)), Some(last)) => {
            Wanted::Part(first..last.unwrap_or(u64::MAX).saturating_add(1).min(size))
        }
        (Some(None), Some(Some(0))) => Wanted::Unsatisfiable,
        (Some(None), Some(Some(_))) if size == 0 => Wanted::Unsatisfiable,
        (Some(None), Some(Some(count))) => Wanted::Part(size.saturating_sub(count)..size),
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_cut_to_the_file() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=8-99", Wanted::Part(8..10)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("pages=1-2", Wanted::All),
        ] {
            assert_eq!(parse(Some(header), 10), expected, "{header}");
        }
        assert_eq!(parse(None, 10), Wanted::All);
        assert_eq!(parse(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }
}
