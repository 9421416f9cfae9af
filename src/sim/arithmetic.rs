//! The first sum in a text, computed: what lets a simulated model be right for a reason. Pure.

/// The first arithmetic expression of `text` and its value, both as text: `("12 + 30", "42")`.
///
/// Knows `+ - * / × ÷ x` between numbers, products before sums. `-`, `/` and `x` need a space on both sides, so that
/// dates, ranges and sizes are no sums. Division gives a whole number or at most six decimals; a division by zero,
/// or a number beyond 2^53, is no expression.
pub(super) fn first_sum(text: &str) -> Option<(String, String)> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let starts_number = chars[at].is_ascii_digit() && (at == 0 || !is_word(chars[at - 1]));
        if starts_number && let Some((terms, end)) = expression(&chars, at) {
            let value = evaluate(&terms)?;
            let source: String = chars[at..end].iter().collect();
            return Some((source, show(value)));
        }
        at += 1;
        while starts_number && at < chars.len() && is_word(chars[at]) {
            at += 1;
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// The first number and the operator–number pairs that follow it.
struct Terms {
    first: f64,
    rest: Vec<(char, f64)>,
}

fn expression(chars: &[char], start: usize) -> Option<(Terms, usize)> {
    let (first, mut end) = number(chars, start)?;
    let mut terms = Terms {
        first,
        rest: Vec::new(),
    };
    while let Some((operator, after)) = operator(chars, end)
        && let Some((value, next)) = number(chars, after)
    {
        terms.rest.push((operator, value));
        end = next;
    }
    (!terms.rest.is_empty()).then_some((terms, end))
}

fn number(chars: &[char], start: usize) -> Option<(f64, usize)> {
    let digits = |from: usize| {
        chars[from..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .count()
    };
    let mut end = start + digits(start.min(chars.len()));
    if end == start {
        return None;
    }
    if chars.get(end) == Some(&'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if chars
        .get(end)
        .is_some_and(|&c| c.is_alphanumeric() || c == '_')
    {
        return None;
    }
    let text: String = chars[start..end].iter().collect();
    text.parse().ok().map(|value| (value, end))
}

fn operator(chars: &[char], end: usize) -> Option<(char, usize)> {
    let spaces = |from: usize| {
        chars[from.min(chars.len())..]
            .iter()
            .take_while(|c| **c == ' ')
            .count()
    };
    let before = spaces(end);
    let symbol = *chars.get(end + before)?;
    let after = spaces(end + before + 1);
    let apart = before > 0 && after > 0;
    let operator = match symbol {
        '+' => '+',
        '*' | '×' | '·' => '*',
        '÷' => '/',
        '-' | '−' if apart => '-',
        '/' if apart => '/',
        'x' if apart => '*',
        _ => return None,
    };
    Some((operator, end + before + 1 + after))
}

fn evaluate(terms: &Terms) -> Option<f64> {
    let mut sum = 0.0;
    let mut product = terms.first;
    for &(operator, value) in &terms.rest {
        match operator {
            '*' => product *= value,
            '/' if value == 0.0 => return None,
            '/' => product /= value,
            '-' => {
                sum += product;
                product = -value;
            }
            _ => {
                sum += product;
                product = value;
            }
        }
    }
    let value = sum + product;
    (value.is_finite() && value.abs() <= 9_007_199_254_740_992.0).then_some(value)
}

fn show(value: f64) -> String {
    let fixed = format!("{value:.6}");
    let short = fixed.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" {
        "0".to_owned()
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        first_sum(text).map(|(_, value)| value)
    }

    #[test]
    fn sums_in_sentences_are_found() {
        let cases = [
            ("What is 12 + 30?", "42"),
            ("Compute 17*3.", "51"),
            ("The exercise reads 13 * 30. What is the result?", "390"),
            ("Please evaluate 858 - 541 and answer", "317"),
            ("2 + 3 * 4 - 1", "13"),
            ("7 / 2", "3.5"),
            ("10 ÷ 5", "2"),
            ("6 x 7", "42"),
            ("3 - 5", "-2"),
            ("1.5 + 1.5", "3"),
            ("in 2024, 8 + 1", "9"),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(first_sum("It is 1 + 1 or 2 + 2").unwrap().0, "1 + 1");
    }

    #[test]
    fn dates_ranges_and_versions_are_no_sums() {
        for text in [
            "2024-11-23",
            "pages 3-5",
            "1/2 cup",
            "Qwen2.5-7B",
            "1 / 0",
            "a1 + b2",
            "",
            "12 +",
            "4x4",
            "9 + 1a",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            let _ = first_sum(&text);
        }

        #[test]
        fn whole_sums_are_exact(a in 0i64..100_000, b in 0i64..100_000) {
            proptest::prop_assert_eq!(value(&format!("What is {a} + {b}?")), Some((a + b).to_string()));
            proptest::prop_assert_eq!(value(&format!("{a} - {b}")), Some((a - b).to_string()));
            proptest::prop_assert_eq!(value(&format!("{a} * {b}")), Some((a * b).to_string()));
        }
    }
}
