//! Files: whole or not at all, with their modes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use toolorch::world::{LocalTransport, NodeFile, Transport, TransportError};

use super::sshd::Sshd;
use super::{Kind, LONG, Node, on_both};

on_both! {
    files_are_written_whole_and_with_their_modes
    a_file_that_cannot_be_written_is_named
    many_files_take_one_command
}

fn file(path: &Path, bytes: &[u8], mode: u32) -> NodeFile {
    NodeFile {
        path: path.to_str().unwrap().to_owned(),
        bytes: bytes.to_vec(),
        mode,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// All that holds for any transport.
fn writes_whole_files(put: impl Fn(&[NodeFile]) -> Result<(), TransportError>) {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a 'b'\n$(c) é*");
    let deep = dir.path().join("x/y/z");
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    put(&[
        file(&odd, b"one\0\n", 0o640),
        file(&deep, b"", 0o600),
        file(&dir.path().join("big"), &big, 0o755),
    ])
    .unwrap();
    assert_eq!(fs::read(&odd).unwrap(), b"one\0\n");
    assert_eq!(fs::read(&deep).unwrap(), b"");
    assert_eq!(fs::read(dir.path().join("big")).unwrap(), big);
    assert_eq!(
        (mode(&odd), mode(&deep), mode(&dir.path().join("big"))),
        (0o640, 0o600, 0o755)
    );
    assert_eq!(mode(&dir.path().join("x")), 0o700);
    // Another file takes its place: who has the old one open keeps it.
    let before = fs::metadata(&odd).unwrap().ino();
    put(&[file(&odd, b"two", 0o400)]).unwrap();
    assert_eq!(
        (fs::read(&odd).unwrap(), mode(&odd)),
        (b"two".to_vec(), 0o400)
    );
    assert_ne!(fs::metadata(&odd).unwrap().ino(), before);
    // A link is replaced, not followed.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&odd, &link).unwrap();
    put(&[file(&link, b"three", 0o600)]).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(fs::read(&odd).unwrap(), b"two");
    put(&[]).unwrap();
    let left = ["a 'b'\n$(c) é*", "big", "link", "x"];
    assert_eq!(names(dir.path()), left);
}

fn files_are_written_whole_and_with_their_modes(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    writes_whole_files(|files| node.block_on(node.transport().put_all(files, LONG)));
}

#[tokio::test]
async fn the_same_holds_here() {
    let runtime = tokio::runtime::Handle::current();
    let writes = move || {
        writes_whole_files(|files| runtime.block_on(LocalTransport.put_all(files, LONG)));
    };
    tokio::task::spawn_blocking(writes).await.unwrap();
}

fn a_file_that_cannot_be_written_is_named(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    let fine = file(&dir.path().join("fine"), b"x", 0o600);
    let below = file(&taken.join("below"), b"x", 0o600);
    let error = node
        .block_on(node.transport().put_all(&[fine.clone(), below], LONG))
        .unwrap_err();
    assert!(
        matches!(error, TransportError::NotWritten { .. }),
        "{error}"
    );
    let text = error
        .to_string()
        .replace(dir.path().to_str().unwrap(), "DIR");
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"cannot write `DIR/taken/below` on `node`: File exists");
    }
    // All bytes come before the first name.
    assert_eq!(names(dir.path()), ["taken"]);
    // What stands in the way stays.
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/x"), "kept").unwrap();
    let full = file(&dir.path().join("full"), b"x", 0o600);
    let error = node
        .block_on(node.transport().put(&full, LONG))
        .unwrap_err();
    let text = error
        .to_string()
        .replace(dir.path().to_str().unwrap(), "DIR");
    assert!(
        text.starts_with("cannot write `DIR/full` on `node`: "),
        "{text}"
    );
    assert_eq!(names(dir.path()), ["full", "taken"]);
    node.block_on(node.transport().put(&fine, Duration::from_secs(30)))
        .unwrap();
}

fn many_files_take_one_command(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<NodeFile> = (0..300)
        .map(|n| {
            file(
                &dir.path().join(format!("units/u-{n}.sh")),
                format!("# {n}\n").repeat(n).as_bytes(),
                0o700,
            )
        })
        .collect();
    node.block_on(node.transport().put_all(&files, LONG))
        .unwrap();
    assert_eq!(names(&dir.path().join("units")).len(), 300);
    for file in &files {
        assert_eq!(fs::read(&file.path).unwrap(), file.bytes);
    }
    let commands = sshd.log().matches("Starting session").count();
    assert!(commands <= 2, "{commands}");
}
