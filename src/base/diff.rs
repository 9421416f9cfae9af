//! Two texts as a unified diff, for `patch` and `git apply`.

use std::fmt::Write as _;

/// So many equal lines stand around what changes.
const AROUND: usize = 3;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    Gone,
    New,
}

/// What turns `old` into `new`; empty if they are the same. It is found with `patch -p0` in the folder to which `name` is
/// relative, and with `git apply` there.
pub fn unified_diff(name: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (
        old.split_inclusive('\n').collect(),
        new.split_inclusive('\n').collect(),
    );
    let steps = steps(&old, &new);
    let changed = |index: &usize| steps[*index] != Step::Same;
    let changes: Vec<usize> = (0..steps.len()).filter(changed).collect();
    let near = |one: &usize, other: &usize| other - one <= 2 * AROUND + 1;
    let hunks = changes.chunk_by(near).filter_map(|hunk| {
        let from = hunk.first()?.saturating_sub(AROUND);
        let to = (hunk.last()? + AROUND + 1).min(steps.len());
        Some((from, to))
    });
    let mut out = String::new();
    for (from, to) in hunks {
        if out.is_empty() {
            // A first part that both programs take for the folder: one strips it, the other goes there.
            let _ = write!(out, "--- ./{name}\n+++ ./{name}\n");
        }
        hunk(&mut out, (&old, &new), &steps, (from, to));
    }
    out
}

fn hunk(
    out: &mut String,
    (old, new): (&[&str], &[&str]),
    steps: &[Step],
    (from, to): (usize, usize),
) {
    let count = |steps: &[Step], but: Step| steps.iter().filter(|step| **step != but).count();
    let starts = (
        count(&steps[..from], Step::New),
        count(&steps[..from], Step::Gone),
    );
    let lengths = (
        count(&steps[from..to], Step::New),
        count(&steps[from..to], Step::Gone),
    );
    // A side without lines is named by the line before it.
    let place =
        |start: usize, length: usize| format!("{},{length}", start + usize::from(length > 0));
    let _ = writeln!(
        out,
        "@@ -{} +{} @@",
        place(starts.0, lengths.0),
        place(starts.1, lengths.1)
    );
    let (mut left, mut right) = starts;
    for step in &steps[from..to] {
        let (sign, line) = match step {
            Step::Same => (' ', old[left]),
            Step::Gone => ('-', old[left]),
            Step::New => ('+', new[right]),
        };
        left += usize::from(*step != Step::New);
        right += usize::from(*step != Step::Gone);
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// The lines in order, by the longest common part of both.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let first = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[first..], &new[first..]);
    let tail = old.iter().rev().zip(new.iter().rev());
    let last = tail.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - last], &new[..new.len() - last]);
    // Of what is behind each pair of lines the longest common part.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut steps = vec![Step::Same; first];
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            steps.push(Step::Same);
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            steps.push(Step::Gone);
            i += 1;
        } else {
            steps.push(Step::New);
            j += 1;
        }
    }
    steps.resize(steps.len() + last, Step::Same);
    steps
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
