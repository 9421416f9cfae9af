//! Files on their way to a node: one stream on standard input, unpacked by bash alone.
//!
//! `tar` would do, but would also follow what somebody else put in its way; here each file is written beside its place
//! and renamed, and a whole set costs one round trip.

use std::path::Path;

use crate::render::FileSet;

/// Reads `MODE SIZE PATH` lines, each followed by that many bytes, below `$1`. The last file is the list of all of them: a set
/// that is cut short never looks whole.
pub(super) const UNPACK: &str = r#"
umask 077
cd -- "$1" || exit 1
while read -r mode size path; do
  [[ $path == */* ]] && { mkdir -p -- "${path%/*}" || exit 1; }
  head -c "$size" >"$path.new" && [[ $(stat -c %s -- "$path.new") == "$size" ]] || { echo "toolorch: \`$path\` came cut short" >&2; exit 1; }
  chmod "$mode" -- "$path.new" && mv -fT -- "$path.new" "$path" || exit 1
done
"#;

/// The stream. Paths are ours: letters, digits, `.`, `-`, `_` and `/`.
pub(super) fn pack(files: &FileSet) -> Vec<u8> {
    let mut stream = Vec::new();
    let (list, rest): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|(path, _)| Path::new(path) == Path::new(crate::render::MANIFEST));
    for (path, file) in rest.into_iter().chain(list) {
        let mode = file.mode & 0o700;
        stream.extend(format!("{mode:o} {} {path}\n", file.bytes.len()).into_bytes());
        stream.extend(&file.bytes);
    }
    stream
}
