//! What is asked of another machine: one bash script, written to the standard input of `exec bash -s`.
//!
//! Whatever the login shell is (fish and csh quote differently), it only has to start bash; arguments never pass
//! through it. bash reads a pipe no further than the end of the command it runs, so that what follows the script is
//! left for the command to read.
//!
//! Where the outcome begins and ends stands in the output itself, in lines with a number that nobody can guess:
//! what a `.bashrc` prints is not taken for output, a link that breaks is not taken for an end, and a daemon
//! that keeps the output open does not keep us waiting. An exit status by the protocol would be 0 for a process
//! that a signal ended (libssh2), and 255 both for a command's own and for ssh's (the command-line client).

use std::hash::{BuildHasher as _, RandomState};
use std::io;

use super::{Command, NodeFile, TransportError};

/// What the login shell is asked to run.
pub(super) const SHELL: &str = "exec bash -s";

/// How each line of ours begins.
pub(super) const MARK: &str = "__toolorch";

/// A script for another machine.
pub(super) struct Script {
    /// What it is about, for messages.
    pub(super) program: String,
    /// The number in its lines.
    pub(super) nonce: String,
    /// The script, and what it reads.
    pub(super) bytes: Vec<u8>,
}

/// Says that it begins; from then on its own standard error is that of bash, which says what signal ended a child.
const BEGIN: &str =
    r#"printf '%s begin\n' "$m"; printf '%s begin\n' "$m" >&2; exec 3>&2 2>/dev/null"#;

/// Says how it ended.
const END: &str = r#"printf '\n%s %s\n' "$m" "$r"; printf '\n%s end\n' "$m" >&3; exit"#;

/// The process id is that of the program, since nothing forks behind it. `setsid` and not `&`, by which
/// bash would let it ignore SIGINT for good.
const SPAWN: &str = r#"r=absent
if type -P -- "$1" >&2; then
r=pid=$(setsid -f bash -c 'printf %s "$$"; exec >/dev/null; exec -- "$@"' bash "$@" </dev/null 3>&-)
fi"#;

/// PATH MODE SIZE for each file; the bytes follow. `r` names the file that failed, by its place in the row.
const PUT: &str = r#"umask 077; export LC_ALL=C
t=() p=() k=0
declare -A s
trap 'rm -f -- "${t[@]}"' EXIT
each() {
  local d f
  while (($#)); do
    r=failed=$k
    case $1 in */*) d=${1%/*}/ ;; *) d=./ ;; esac
    mkdir -p -- "$d" || return
    f=$d.toolorch-${m##* }-$k
    t+=("$f") p+=("$1") s[$d]=1
    head -c "$3" >"$f" || return
    if [[ $(stat -c %s -- "$f") != "$3" ]]; then echo 'not all of it arrived' >&2; return; fi
    chmod -- "$2" "$f" || return
    k=$((k + 1)); shift 3
  done
  sync -- "${t[@]}" || return
  for k in "${!t[@]}"; do
    r=failed=$k
    mv -fT -- "${t[k]}" "${p[k]}" || return
  done
  sync -- "${!s[@]}" || sync
  r=done
}
each "$@" 2>&3
rm -f -- "${t[@]}""#;

impl Script {
    /// Runs a command to its end: `rc=N`, or `absent` if there is no such program.
    pub(super) fn exec(command: &Command, node: &str) -> Result<Self, TransportError> {
        // Of the shells here only the innermost becomes the program: `exec` looks at files alone, never at
        // builtins, functions or aliases.
        let (input, after) = match &command.stdin {
            Some(bytes) => ("", bytes.as_slice()),
            None => (" </dev/null", [].as_slice()),
        };
        let run = format!(
            "r=absent\nif type -P -- \"$1\" >&2; then\n( exec 2>&3 3>&-; exec -- \"$@\" ){input}; r=rc=$?\nfi"
        );
        let argv = quoted(&command.argv, command.program(), node)?;
        Ok(Self::new(command.program(), &argv, &run, after))
    }

    /// Starts what outlives the connection: `pid=N`, or `absent`.
    pub(super) fn spawn(argv: &[String], node: &str) -> Result<Self, TransportError> {
        let program = super::exec::program_of(argv);
        let argv = quoted(argv, program, node)?;
        Ok(Self::new(program, &argv, SPAWN, &[]))
    }

    /// Writes files: `done`, or `failed=N`, the place of the file in the row.
    pub(super) fn put(files: &[NodeFile], node: &str) -> Result<Self, TransportError> {
        let words = |file: &NodeFile| {
            let mode = format!("{:o}", file.mode & 0o7777);
            [file.path.clone(), mode, file.bytes.len().to_string()]
        };
        let args: Vec<String> = files.iter().flat_map(words).collect();
        let program = match files {
            [only] => format!("writing {}", only.path),
            _ => format!("writing {} files", files.len()),
        };
        let after: Vec<u8> = files
            .iter()
            .flat_map(|file| file.bytes.iter().copied())
            .collect();
        let args = quoted(&args, &program, node)?;
        Ok(Self::new(&program, &args, PUT, &after))
    }

    fn new(program: &str, argv: &str, middle: &str, after: &[u8]) -> Self {
        let nonce = nonce();
        let text = format!(
            "{{\nset +eu\nm='{MARK} {nonce}'\n{BEGIN}\nset -- {argv}\n{middle}\n{END}\n}}\n"
        );
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(after);
        Self {
            program: program.to_owned(),
            nonce,
            bytes,
        }
    }
}

/// Words for bash. A shell has no word with a null byte.
fn quoted(argv: &[String], program: &str, node: &str) -> Result<String, TransportError> {
    shlex::try_join(argv.iter().map(String::as_str)).map_err(|_| TransportError::Start {
        program: program.to_owned(),
        node: Some(node.to_owned()),
        source: io::Error::new(io::ErrorKind::InvalidInput, "a null byte is in an argument"),
    })
}

/// A number that no output can have by chance.
fn nonce() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// 64 bits that differ from call to call: the standard library's keys of hash tables.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
