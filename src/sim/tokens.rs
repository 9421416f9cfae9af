//! Texts as tokens, roughly as a BPE tokenizer cuts English: a space with up to six letters, up to three digits, or
//! one other character. Pure; the pieces of a text join to that text.

const LETTERS: usize = 6;
const DIGITS: usize = 3;

/// The tokens of a text, in order.
pub(super) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// How many tokens a text has.
pub(super) fn count(text: &str) -> usize {
    pieces(text).count()
}

/// The first `limit` tokens of a text.
pub(super) fn head(text: &str, limit: usize) -> &str {
    let taken: usize = pieces(text).take(limit).map(str::len).sum();
    &text[..taken]
}

/// See [`pieces`].
pub(super) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut chars = self.rest.char_indices().peekable();
        let (_, first) = chars.next()?;
        let lead = if first == ' ' {
            chars.next().map(|(_, c)| c)
        } else {
            Some(first)
        };
        let limit = match lead {
            Some(c) if c.is_alphabetic() => LETTERS,
            Some(c) if c.is_ascii_digit() => DIGITS,
            _ => 1,
        };
        let alike = |c: char| {
            if limit == LETTERS {
                c.is_alphabetic()
            } else {
                limit == DIGITS && c.is_ascii_digit()
            }
        };
        let mut taken = 1;
        while taken < limit && chars.next_if(|&(_, c)| alike(c)).is_some() {
            taken += 1;
        }
        let end = chars.peek().map_or(self.rest.len(), |&(at, _)| at);
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_into_words_and_signs() {
        let cut: Vec<&str> = pieces("What is 12345 + 6?").collect();
        assert_eq!(cut, ["What", " is", " 123", "45", " +", " 6", "?"]);
        assert_eq!(head("What is it", 2), "What is");
    }

    proptest::proptest! {
        #[test]
        fn pieces_join_to_the_text(text in ".{0,200}") {
            let joined: String = pieces(&text).collect();
            proptest::prop_assert_eq!(&joined, &text);
            proptest::prop_assert!(count(&text) <= text.chars().count());
        }
    }
}
