//! Changes of single values in the text of a YAML, with all that the user wrote around them left alone.

use super::build::build;
use super::tree::{Entry, Kind, Node};
use crate::base::{FieldPath, Segment, Span};

/// A value to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where: a key of a mapping.
    pub path: FieldPath,
    /// What stands there, one name or the items of a list; a default where nothing stands there.
    pub from: Vec<String>,
    /// What is to stand there, as YAML.
    pub to: String,
    /// May it be absent, which means `from`?
    pub has_default: bool,
}

/// The text with these changes, or why it cannot be made: what to do by hand.
///
/// # Errors
/// A value is not what it is said to be, or is written in a way that one change would change others with it.
pub fn edited(text: &str, edits: &[Edit]) -> Result<String, String> {
    let before = read(text)?;
    let mut pieces = Vec::new();
    for edit in edits {
        pieces.push(piece(text, &before, edit)?);
    }
    pieces.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut out = text.to_owned();
    for (span, to) in &pieces {
        out.replace_range(span.start..span.end, to);
    }
    // An anchor may be read elsewhere, and a value may mean something else where it stands now.
    let after = read(&out)?;
    let wanted = edits.iter().all(|edit| {
        let to = read(&edit.to).map(|node| plain(&node));
        let found = find(&after, edit.path.segments()).map(plain);
        to.ok() == found
    });
    let mut left = [plain(&before), plain(&after)];
    for side in &mut left {
        for edit in edits {
            remove(side, edit.path.segments());
        }
    }
    if wanted && left[0] == left[1] {
        Ok(out)
    } else {
        Err("other values hang on what would change".to_owned())
    }
}

fn read(text: &str) -> Result<Node, String> {
    let mut findings = Vec::new();
    let root = build(text, 0, &mut findings);
    root.filter(|_| findings.is_empty())
        .ok_or_else(|| "it is no YAML any more".to_owned())
}

/// The bytes that change, and what stands there then.
fn piece(text: &str, root: &Node, edit: &Edit) -> Result<(Span, String), String> {
    let path = &edit.path;
    let Some((Segment::Key(key), parents)) = path.segments().split_last() else {
        return Err(format!("`{path}` is no key"));
    };
    let parent = find(root, parents);
    let parent = parent.ok_or_else(|| format!("it has no `{path}`"))?;
    let Kind::Map(entries) = &parent.kind else {
        return Err(format!("it has no `{path}`"));
    };
    // What came through a merge key stands elsewhere.
    let is_here =
        |entry: &&Entry| (parent.span.start..parent.span.end).contains(&entry.key_span.start);
    let entry = entries.iter().find(|entry| entry.key == *key);
    let now = entry.map(|entry| items(&entry.value));
    match &now {
        None if edit.has_default => {}
        Some(now) if *now == edit.from => {}
        now => {
            let now = now
                .as_ref()
                .map_or("nothing".to_owned(), |now| now.join(", "));
            return Err(format!(
                "`{path}` is {now} in it, and was {} in the run",
                edit.from.join(", ")
            ));
        }
    }
    match entry.filter(is_here) {
        Some(entry) if entry.value.alias.is_none() => Ok((entry.value.span, edit.to.clone())),
        Some(entry) => Ok((
            entry.value.alias.unwrap_or(entry.value.span),
            edit.to.clone(),
        )),
        None => {
            let first = entries.iter().filter(is_here);
            let first = first.min_by_key(|entry| entry.key_span.start);
            let first = first.ok_or_else(|| format!("`{path}` has no place in it"))?;
            let start = first.key_span.start;
            Ok((
                Span::new(start..start),
                inserted(text, parent, start, key, edit),
            ))
        }
    }
}

/// A key before the first one of its mapping, as that is written.
fn inserted(text: &str, parent: &Node, start: usize, key: &str, edit: &Edit) -> String {
    let is_flow = text[parent.span.start..].starts_with('{');
    if is_flow {
        return format!("{key}: {}, ", edit.to);
    }
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent = text[line..start].chars().count();
    format!("{key}: {}\n{}", edit.to, " ".repeat(indent))
}

fn find<'a>(root: &'a Node, path: &[Segment]) -> Option<&'a Node> {
    path.iter().try_fold(root, |node, segment| match segment {
        Segment::Key(key) => Some(&node.get(key)?.value),
        Segment::Index(_) => None,
    })
}

/// A scalar as its text, a list as those of its items.
fn items(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Scalar(scalar) => vec![scalar.text.clone()],
        Kind::Seq(all) => all.iter().flat_map(items).collect(),
        Kind::Map(_) => Vec::new(),
    }
}

/// The value without its places.
fn plain(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Scalar(scalar) => serde_json::json!([scalar.plain, scalar.text]),
        Kind::Seq(all) => all.iter().map(plain).collect(),
        Kind::Map(entries) => {
            // The order of keys is kept, and counts; that of an inserted one does not.
            let all = entries.iter();
            let all = all.map(|entry| (entry.key.clone(), plain(&entry.value)));
            serde_json::Value::Object(all.collect())
        }
    }
}

fn remove(value: &mut serde_json::Value, path: &[Segment]) {
    let Some((Segment::Key(last), parents)) = path.split_last() else {
        return;
    };
    let mut at = Some(value);
    for segment in parents {
        let Segment::Key(key) = segment else { return };
        at = at.and_then(|value| value.get_mut(key));
    }
    if let Some(map) = at.and_then(serde_json::Value::as_object_mut) {
        map.shift_remove(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "# the night's cluster
models:
  orchestrator:
    model: /ckpt/o                # byte for byte
    node: one                     # it has eight
    replicas: 4                   # independent
  coder: { model: c, node: [one, two], replicas: 8, port: 1810 }
  judge: { model: j, node: one }
  search:
    # alone
    model: s
    node: two
  a: &a
    model: a
    node: one
    replicas: 2
  b:
    <<: *a
    model: b
  c: *a
";

    fn edit(path: &[&str], from: &[&str], to: &str) -> Edit {
        let path = path
            .iter()
            .fold(FieldPath::root(), |path, key| path.key(*key));
        Edit {
            has_default: path.to_string().ends_with("replicas"),
            path,
            from: from.iter().map(|&item| item.to_owned()).collect(),
            to: to.to_owned(),
        }
    }

    fn changed(edits: &[Edit]) -> String {
        match edited(YAML, edits) {
            Ok(text) => crate::base::unified_diff("x.yaml", YAML, &text),
            Err(why) => format!("{why}\n"),
        }
    }

    #[test]
    fn values_change_where_they_stand_and_comments_stay() {
        let diff = changed(&[
            edit(&["models", "orchestrator", "replicas"], &["4"], "6"),
            edit(&["models", "orchestrator", "node"], &["one"], "[one, two]"),
            edit(&["models", "coder", "replicas"], &["8"], "6"),
            edit(&["models", "coder", "node"], &["one", "two"], "two"),
            edit(&["models", "coder", "port"], &["1810"], "auto"),
        ]);
        insta::assert_snapshot!(diff, @r"
        --- ./x.yaml
        +++ ./x.yaml
        @@ -2,9 +2,9 @@
         models:
           orchestrator:
             model: /ckpt/o                # byte for byte
        -    node: one                     # it has eight
        -    replicas: 4                   # independent
        -  coder: { model: c, node: [one, two], replicas: 8, port: 1810 }
        +    node: [one, two]                     # it has eight
        +    replicas: 6                   # independent
        +  coder: { model: c, node: two, replicas: 6, port: auto }
           judge: { model: j, node: one }
           search:
             # alone
        ");
    }

    #[test]
    fn what_is_not_written_is_inserted() {
        let diff = changed(&[
            edit(&["models", "judge", "replicas"], &["1"], "2"),
            edit(&["models", "search", "replicas"], &["1"], "3"),
            edit(&["models", "b", "replicas"], &["2"], "4"),
        ]);
        insta::assert_snapshot!(diff, @r"
        --- ./x.yaml
        +++ ./x.yaml
        @@ -5,9 +5,10 @@
             node: one                     # it has eight
             replicas: 4                   # independent
           coder: { model: c, node: [one, two], replicas: 8, port: 1810 }
        -  judge: { model: j, node: one }
        +  judge: { replicas: 2, model: j, node: one }
           search:
             # alone
        +    replicas: 3
             model: s
             node: two
           a: &a
        @@ -16,5 +17,6 @@
             replicas: 2
           b:
             <<: *a
        +    replicas: 4
             model: b
           c: *a
        ");
    }

    #[test]
    fn what_cannot_be_changed_alone_is_refused_with_the_reason() {
        let why = [
            changed(&[edit(&["models", "orchestrator", "replicas"], &["5"], "6")]),
            changed(&[edit(&["models", "nobody", "replicas"], &["5"], "6")]),
            changed(&[edit(&["models", "judge", "port"], &["1800"], "auto")]),
            changed(&[edit(&["models", "a", "replicas"], &["2"], "6")]),
            changed(&[edit(&["models", "c", "replicas"], &["2"], "6")]),
        ];
        insta::assert_snapshot!(why.concat(), @r"
        `models.orchestrator.replicas` is 4 in it, and was 5 in the run
        it has no `models.nobody.replicas`
        `models.judge.port` is nothing in it, and was 1800 in the run
        other values hang on what would change
        other values hang on what would change
        ");
    }
}
