//! Two texts as a unified diff, for `patch` and `git apply`.

use similar::TextDiff;

/// So many equal lines stand around what changes.
const AROUND: usize = 3;

/// What turns `old` into `new`; empty if they are the same. It is found with `patch -p0` in the folder to which `name` is
/// relative, and with `git apply` there.
pub fn unified_diff(name: &str, old: &str, new: &str) -> String {
    // A first part that both programs take for the folder: one strips it, the other goes there.
    let name = header(&format!("./{name}"));
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(AROUND)
        .header(&name, &name)
        .to_string()
}

/// A name as both programs read it: what would end it stands as in C, and behind a blank the name ends with a tab alone.
fn header(name: &str) -> String {
    let needs_quotes = |c: char| c.is_control() || c == '"' || c == '\\';
    if !name.contains(needs_quotes) {
        let end = if name.contains(' ') { "\t" } else { "" };
        return format!("{name}{end}");
    }
    let mut quoted = "\"".to_owned();
    for c in name.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                quoted.extend(bytes.map(|byte| format!("\\{byte:03o}")));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_with_their_numbers_and_their_neighbours() {
        let old: Vec<String> = (1..=20).map(|n| format!("line {n}\n")).collect();
        let mut new = old.clone();
        new[1] = "second\n".to_owned();
        new.insert(4, "between\n".to_owned());
        new.remove(19);
        assert_eq!(unified_diff("c/x.yaml", &old.concat(), &old.concat()), "");
        let diff = unified_diff("c/x.yaml", &old.concat(), &new.concat());
        insta::assert_snapshot!(diff, @r"
        --- ./c/x.yaml
        +++ ./c/x.yaml
        @@ -1,7 +1,8 @@
         line 1
        -line 2
        +second
         line 3
         line 4
        +between
         line 5
         line 6
         line 7
        @@ -16,5 +17,4 @@
         line 16
         line 17
         line 18
        -line 19
         line 20
        ");
    }

    #[test]
    fn an_end_without_a_newline_is_marked() {
        insta::assert_snapshot!(unified_diff("x", "a\nb", "a\nc"), @r"
        --- ./x
        +++ ./x
        @@ -1,2 +1,2 @@
         a
        -b
        \ No newline at end of file
        +c
        \ No newline at end of file
        ");
    }
}
