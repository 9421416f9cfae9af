//! The files of a bundle, with secrets taken out of them.

use std::collections::BTreeSet;

use crate::base::{Secrets, keys_in, mask_keys, mask_passwords, passwords_in};

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Its path below the bundle's folder, with slashes.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What was masked in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The file.
    pub file: String,
    /// What, such as `the value of HF_TOKEN` or `an OpenAI API key`.
    pub what: BTreeSet<String>,
}

/// Files that hold no secret that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The files, in the order in which they were given.
    pub files: Vec<BundleFile>,
    /// Where something was masked.
    pub masked: Vec<Masked>,
}

impl Bundle {
    /// Masks in each file the values of `secrets`, what looks like the key of a well-known service, and passwords in URLs.
    pub fn of(files: Vec<BundleFile>, secrets: &Secrets) -> Self {
        let mut masked = Vec::new();
        let files = files.into_iter().map(|file| {
            let what = secrets_in(&file.text, secrets);
            if what.is_empty() {
                return file;
            }
            let text = secrets.mask_text(&file.text);
            let text = mask_passwords(&mask_keys(&text)).into_owned();
            masked.push(Masked {
                file: file.name.clone(),
                what,
            });
            BundleFile { text, ..file }
        });
        Self {
            files: files.collect(),
            masked,
        }
    }
}

fn secrets_in(text: &str, secrets: &Secrets) -> BTreeSet<String> {
    let values = secrets.found_in(text).into_iter();
    let values = values.map(|mask| format!("the value of {}", mask.trim_matches(['[', ']'])));
    let keys = keys_in(text).map(|(_, what)| what.to_owned());
    let passwords = passwords_in(text).map(|_| "a password in a URL".to_owned());
    values.chain(keys).chain(passwords).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_left_and_what_was_is_named() {
        let file = |name: &str, text: &str| BundleFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let key = "sk-AbCd0123456789efghIJKL";
        let yaml = format!("token: very-secret\nkey: {key}\nurl: http://me:pass@host/v1\n");
        let given = vec![file("a.yaml", &yaml), file("b.txt", "very public")];
        let secrets = Secrets::parse(b"HF_TOKEN=very-secret\0");
        let bundle = Bundle::of(given, &secrets);
        insta::assert_snapshot!(bundle.files[0].text, @r"
        token: [HF_TOKEN]
        key: *************************
        url: http://me:****@host/v1
        ");
        assert_eq!(bundle.files[1].text, "very public");
        insta::assert_debug_snapshot!(bundle.masked, @r#"
        [
            Masked {
                file: "a.yaml",
                what: {
                    "a password in a URL",
                    "an OpenAI API key",
                    "the value of HF_TOKEN",
                },
            },
        ]
        "#);
        let again = Bundle::of(bundle.files.clone(), &secrets);
        assert_eq!(again.files, bundle.files);
        assert_eq!(again.masked, []);
    }
}
