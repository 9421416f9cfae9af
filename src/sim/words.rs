//! Texts as rows of words that can be found in each other, however they are spaced and punctuated. Pure.
//!
//! A word is a run of ASCII letters and digits in lower case, or one other letter; what stands between words does not
//! count. Of a text only numbers are kept: with them any stretch of its words is compared in constant time.

/// An odd number without a pattern.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A text's words as sums over them: the value of a stretch follows from two of them.
#[derive(Debug)]
pub(super) struct Words {
    /// The value of the first so many words.
    sums: Vec<u64>,
    /// `BASE` to the power of the place.
    powers: Vec<u64>,
}

impl Words {
    /// The words of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut words = Self {
            sums: vec![0],
            powers: vec![1],
        };
        let mut current = None;
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                let so_far = current.unwrap_or(FNV);
                current = Some(step(so_far, u64::from(c.to_ascii_lowercase())));
                continue;
            }
            words.extend(current.take());
            words.extend(c.is_alphanumeric().then(|| step(FNV, u64::from(c))));
        }
        words.extend(current);
        words
    }

    fn extend(&mut self, word: Option<u64>) {
        let last = |row: &[u64]| row.last().copied().unwrap_or_default();
        if let Some(word) = word {
            let sum = last(&self.sums).wrapping_mul(BASE).wrapping_add(word);
            self.sums.push(sum);
            self.powers.push(last(&self.powers).wrapping_mul(BASE));
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sums.len() - 1
    }

    /// What stands for `count` words from the place `at`; none where there are fewer.
    pub(super) fn stretch(&self, at: usize, count: usize) -> Option<u64> {
        let end = self.sums.get(at.checked_add(count)?)?;
        let power = self.powers.get(count)?;
        Some(end.wrapping_sub(self.sums[at].wrapping_mul(*power)))
    }

    /// What stands for all of them.
    pub(super) fn whole(&self) -> u64 {
        self.sums.last().copied().unwrap_or_default()
    }
}

/// The start of FNV-1a: small, stable between releases of the standard library, and not meant to resist anybody.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, next: u64) -> u64 {
    (hash ^ next).wrapping_mul(0x100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_signs_and_capitals_do_not_count() {
        let one = Words::of("  What is x_1, really?\n");
        let other = Words::of("what IS x 1 -- Really");
        assert_eq!((one.len(), one.whole()), (5, other.whole()));
        assert_ne!(Words::of("a b").whole(), Words::of("b a").whole());
        assert_eq!(Words::of("é日本").len(), 3);
        assert_eq!((Words::of("").len(), Words::of("?!").len()), (0, 0));
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_found_where_it_stands(before in "[a-z ]{0,20}", text in "[a-z]{1,5}( [a-z]{1,5}){0,8}", after in "[a-z ]{0,20}") {
            let inner = Words::of(&text);
            let outer = Words::of(&format!("{before}\n{text}. {after}"));
            let at = Words::of(&before).len();
            proptest::prop_assert_eq!(outer.stretch(at, inner.len()), Some(inner.whole()));
            proptest::prop_assert_eq!(outer.stretch(at, outer.len() + 1), None);
        }
    }
}
