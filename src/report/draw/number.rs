//! Numbers as people and pictures read them.

/// A place in a picture: to a tenth, and no digit more than it needs.
pub(in crate::report) fn coordinate(value: f64) -> String {
    trimmed(format!("{value:.1}"))
}

/// Without zeros behind the point, and without a sign before nothing.
fn trimmed(text: String) -> String {
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "-0" { "0".to_owned() } else { text }
}

/// An amount in three digits: `0.25`, `7.5`, `480`, `12.5k`, `3M`.
pub(in crate::report) fn amount(value: f64) -> String {
    let digits = |value: f64| match value.abs() {
        small if small < 9.995 => trimmed(format!("{value:.2}")),
        small if small < 99.95 => trimmed(format!("{value:.1}")),
        _ => trimmed(format!("{value:.0}")),
    };
    match value.abs() {
        large if large >= 999_500_000.0 => format!("{}G", digits(value / 1e9)),
        large if large >= 999_500.0 => format!("{}M", digits(value / 1e6)),
        large if large >= 9_999.5 => format!("{}k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// A length of time: `0.2 s`, `31.5 s`, `5 min`, `1.5 h`.
pub(in crate::report) fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        short if short < 0.0995 => format!("{} ms", amount(value * 1000.0)),
        short if short < 120.0 => format!("{} s", amount(value)),
        short if short < 7200.0 => format!("{} min", amount(value / 60.0)),
        _ => format!("{} h", amount(value / 3600.0)),
    }
}

/// A share from 0 to 1: `28.2 %`.
pub(in crate::report) fn percent(share: f64) -> String {
    format!("{} %", trimmed(format!("{:.1}", 100.0 * share)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_they_need() {
        let all = [
            0.0, -0.001, 0.25, 7.5, 9.999, 12.34, 480.2, 9_999.0, 12_500.0, 999_600.0, 3e6, 2.5e9,
        ];
        let amounts = all.map(amount).join(" ");
        insta::assert_snapshot!(amounts, @"0 0 0.25 7.5 10 12.3 480 9999 12.5k 1M 3M 2.5G");
        let times = [0.0, 0.004, 0.2, 31.5, 119.0, 300.0, 5400.0, 90_000.0].map(seconds);
        insta::assert_snapshot!(times.join(", "), @"0, 4 ms, 0.2 s, 31.5 s, 119 s, 5 min, 90 min, 25 h");
        assert_eq!(coordinate(12.04), "12");
        assert_eq!(coordinate(-0.04), "0");
        assert_eq!(coordinate(12.36), "12.4");
        assert_eq!(
            [0.0, 0.2821, 1.0].map(percent).join(" "),
            "0 % 28.2 % 100 %"
        );
    }
}
