//! Values that were passed to a program, masked wherever its words are shown or written down.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use super::base64::base64;

/// A shorter value is no secret, and masking each `8` of a log would leave nothing to read.
const SHORTEST: usize = 6;

/// Values that no text of ours may show, in the forms in which programs print them.
#[derive(Clone, Default)]
pub struct Secrets {
    /// What is looked for and what stands in its place, longest first.
    forms: Vec<(Vec<u8>, String)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} forms)", self.forms.len())
    }
}

impl Secrets {
    /// Secrets from the file of a unit: `NAME=VALUE`, each ended by NUL.
    pub fn parse(file: &[u8]) -> Self {
        let mut forms = Vec::new();
        for pair in file.split(|byte| *byte == 0) {
            let Some(at) = pair.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let mask = format!("[{}]", String::from_utf8_lossy(&pair[..at]));
            let value = &pair[at + 1..];
            if value.len() >= SHORTEST {
                forms.extend(forms_of(value).into_iter().map(|form| (form, mask.clone())));
            }
        }
        Self::of(forms)
    }

    fn of(mut forms: Vec<(Vec<u8>, String)>) -> Self {
        forms.retain(|(form, _)| form.len() >= SHORTEST);
        forms.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then(one.cmp(other)));
        forms.dedup_by(|(one, _), (other, _)| one == other);
        Self { forms }
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.forms.extend(others.forms);
        Self::of(self.forms)
    }

    /// What stands in the place of those that the text holds, such as `[HF_TOKEN]`.
    pub fn found_in(&self, text: &str) -> BTreeSet<&str> {
        let holds = |form: &[u8]| {
            let mut parts = text.as_bytes().windows(form.len());
            parts.any(|part| part == form)
        };
        let found = self.forms.iter().filter(|(form, _)| holds(form));
        found.map(|(_, mask)| mask.as_str()).collect()
    }

    /// The length of the longest form: of a text that begins in the middle of one, so much may be its rest.
    pub fn longest(&self) -> usize {
        self.forms.first().map_or(0, |(form, _)| form.len())
    }

    /// The text with the name of each secret in its place, such as `[HF_TOKEN]`.
    pub fn mask(&self, text: &[u8]) -> Vec<u8> {
        self.mask_from(text, 0)
    }

    /// The same of what follows the first `from` bytes; a secret that begins before is masked as well.
    pub fn mask_from(&self, text: &[u8], from: usize) -> Vec<u8> {
        if self.forms.is_empty() {
            return text.get(from..).unwrap_or_default().to_vec();
        }
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some((form, mask)) = self.forms.iter().find(|(form, _)| rest.starts_with(form)) {
                at += form.len();
                if at > from {
                    out.extend_from_slice(mask.as_bytes());
                }
            } else {
                out.extend(rest.first().filter(|_| at >= from));
                at += 1;
            }
        }
        out
    }

    /// [`Secrets::mask`] of a text.
    pub fn mask_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask(text.as_bytes())).into_owned()
    }
}

/// A value as it is, each of its lines, and as JSON, as a text of Python, as a part of a URL, in base 16 and in base 64, also
/// in the middle of more, as in `Authorization: Basic`.
fn forms_of(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        value.to_vec(),
        percent(value),
        base64(value).into_bytes(),
        of_python(value),
    ];
    forms.extend(value.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    forms.extend([0, 1, 2].map(|before| inner_base64(value, before)));
    forms.extend([b"0123456789abcdef", b"0123456789ABCDEF"].map(|digits| base16(value, digits)));
    if let Ok(json) = serde_json::to_string(&String::from_utf8_lossy(value)) {
        forms.push(json.as_bytes()[1..json.len() - 1].to_vec());
    }
    forms
}

fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.into_bytes()
}

fn base16(value: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let two = |byte: &u8| {
        [
            digits[usize::from(byte >> 4)],
            digits[usize::from(byte & 15)],
        ]
    };
    value.iter().flat_map(two).collect()
}

/// As `repr` writes a text in which both quotes stand.
fn of_python(value: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(value);
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
    let escaped = escaped.replace('\n', "\\n").replace('\t', "\\t");
    escaped.replace('\r', "\\r").into_bytes()
}

/// The digits that are the value's alone where so many bytes stand before it, and others after it.
fn inner_base64(value: &[u8], before: usize) -> Vec<u8> {
    let mut padded = vec![0; before];
    padded.extend_from_slice(value);
    // A digit has six bits.
    let (first, end) = ((8 * before).div_ceil(6), 8 * padded.len() / 6);
    let digits = base64(&padded);
    digits
        .get(first..end)
        .unwrap_or_default()
        .as_bytes()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Secrets {
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}\0"));
        Secrets::parse(pairs.collect::<String>().as_bytes())
    }

    #[test]
    fn every_form_is_masked() {
        let secrets = of(&[
            ("HF_TOKEN", "it's a \"key\"\nof two lines"),
            ("MODE", "fast"),
        ]);
        for form in [
            "it's a \"key\"\nof two lines",
            "it's a \\\"key\\\"\\nof two lines",
            "it%27s%20a%20%22key%22%0Aof%20two%20lines",
            "aXQncyBhICJrZXkiCm9mIHR3byBsaW5lcw",
            "it\\'s a \"key\"\\nof two lines",
            "69742773206120226b6579220a6f662074776f206c696e6573",
            "of two lines",
        ] {
            let shown = secrets.mask_text(&format!("<{form}> fast"));
            assert_eq!(shown, "<[HF_TOKEN]> fast", "{form}");
        }
        // In base 64 with more around it, as `user:KEY`.
        for (form, left) in [
            ("dWl0J3MgYSAia2V5IgpvZiB0d28gbGluZXM=", "dW[HF_TOKEN]M="),
            (
                "dXNlcjppdCdzIGEgImtleSIKb2YgdHdvIGxpbmVz",
                "dXNlcjp[HF_TOKEN]",
            ),
            ("aXQncyBhICJrZXkiCm9mIHR3byBsaW5lc2Fi", "[HF_TOKEN]2Fi"),
        ] {
            assert_eq!(secrets.mask_text(form), left);
        }
    }

    #[test]
    fn a_secret_that_a_cut_runs_through_is_masked_whole() {
        let secrets = of(&[("KEY", "0123456789")]);
        let text = b"ab 0123456789 cd";
        assert_eq!(secrets.mask_from(text, 8), b"[KEY] cd");
        assert_eq!(secrets.mask_from(text, 13), b" cd");
        assert_eq!(secrets.mask_from(text, 99), b"");
        assert_eq!(Secrets::default().mask_from(text, 14), b"cd");
        assert_eq!(secrets.longest(), 20, "in base 16");
    }

    #[test]
    fn those_that_a_text_holds_are_named() {
        let secrets = of(&[("KEY", "0123456789")]).and(of(&[("HF_TOKEN", "abcdefghij")]));
        assert_eq!(
            secrets.found_in("0123456789"),
            ["[KEY]"].into_iter().collect()
        );
        assert_eq!(secrets.found_in("012345678").len(), 0);
        assert_eq!(
            secrets.mask_text("0123456789, abcdefghij"),
            "[KEY], [HF_TOKEN]"
        );
    }

    proptest! {
        #[test]
        fn nothing_of_a_value_is_left(value in "[ -~\n]{6,40}", before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            let secrets = of(&[("K", &value)]);
            let shown = secrets.mask_text(&format!("{before}{value}{after}"));
            prop_assert!(!shown.contains(&value));
        }
    }
}
