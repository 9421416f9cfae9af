//! The page itself, in one piece, and what a browser may do with it.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::base::padded_base64;

const BODY: &str = include_str!("page/body.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// All of it.
pub(super) static HTML: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>toolorch</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n{BODY}\
         <script>{SCRIPT}</script>\n</html>\n"
    )
});

/// This style and this script alone, and requests to where they came from.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

fn hash(text: &str) -> String {
    format!("sha256-{}", padded_base64(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_else_and_makes_no_markup_of_text() {
        for wild in ["http:", "https:", "@import", "url(", "<img", "src="] {
            assert!(!HTML.contains(wild), "{wild}");
        }
        for wild in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!SCRIPT.contains(wild), "{wild}");
        }
        // The hashes are of what stands between the tags.
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
        assert!(!BODY.contains("style=") && !BODY.contains("onclick"));
    }
}
