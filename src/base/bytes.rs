//! Sizes for people.

const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];

/// A number of bytes as hubs and disks give it, in powers of a thousand: `812 B`, `15.3 GB`.
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut whole, mut rest, mut unit) = (count, 0, "");
    for larger in UNITS {
        if whole < 1000 {
            break;
        }
        (whole, rest, unit) = (whole / 1000, whole % 1000, larger);
    }
    format!("{whole}.{} {unit}", rest / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        let all = [0, 999, 1000, 1_299, 999_999, 65_524_123_456, u64::MAX];
        let shown = all.map(bytes);
        assert_eq!(
            shown,
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "1.2 kB",
                "999.9 kB",
                "65.5 GB",
                "18446.7 PB"
            ]
        );
    }
}
