//! The socket by which several `ssh` share one connection.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::getuid;

use crate::base::sha256;
use crate::plan::SshTarget;
use crate::world::transport::link_error::{LinkError, Spot};
use crate::world::transport::ssh_config::{Answers, options};

/// The path of a socket has 108 bytes, of which ssh takes 17 for a moment's name.
const LONGEST: usize = 60;

/// All that stands before the host on the command line of `ssh`.
pub(super) fn command_line(
    target: &SshTarget,
    config: Option<&Path>,
) -> Result<Vec<String>, LinkError> {
    let spot = Spot::system_ssh();
    if target.host_key_sha256.is_some() {
        let why =
            "`host_key_sha256` is set, and ssh itself compares host keys only with its known_hosts";
        let fix = "leave it out, or say `transport: ssh2`";
        return Err(LinkError::refused(&spot, why, fix));
    }
    let mut line = vec!["-T".to_owned()];
    let mut set = |text: &str| line.extend(["-o".to_owned(), text.to_owned()]);
    set("BatchMode=yes");
    set("ConnectTimeout=8");
    set("ServerAliveInterval=5");
    set("ServerAliveCountMax=2");
    // A changed or unknown key stops the node, whatever the user's own sessions do; and nothing is written.
    set("StrictHostKeyChecking=yes");
    set("UpdateHostKeys=no");
    if Answers::of(target, config)?.set("controlpath").is_none() {
        let socket = own_socket(target, config).map_err(|error| {
            let why = format!("no place for the socket of a shared connection: {error}");
            LinkError::refused(&spot, why, "make XDG_RUNTIME_DIR a directory of your own")
        })?;
        set("ControlMaster=auto");
        set("ControlPersist=60");
        set(&format!("ControlPath={}", socket.display()));
    }
    if let Some(identity) = &target.identity {
        set("IdentitiesOnly=yes");
        line.extend(["-i".to_owned(), identity.clone()]);
    }
    if let Some(jump) = &target.jump {
        line.extend(["-J".to_owned(), jump.clone()]);
    }
    line.extend(options(target, config));
    line.extend(["--".to_owned(), target.host.clone()]);
    Ok(line)
}

/// A socket for this target alone, in a directory that nobody else can enter.
fn own_socket(target: &SshTarget, config: Option<&Path>) -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.map(|dir| dir.join("toolorch-ssh"));
    let fits = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() <= LONGEST;
    let fallback = || PathBuf::from(format!("/tmp/toolorch-ssh-{}", getuid().as_raw()));
    let dir = runtime.filter(fits).filter(|dir| private(dir).is_ok());
    let dir = dir.unwrap_or_else(fallback);
    private(&dir)?;
    let digest = sha256(format!("{target:?} {config:?}").as_bytes());
    Ok(dir.join(&digest[..16]))
}

/// Makes a directory of our own, or makes sure that it is one.
fn private(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    let found = fs::symlink_metadata(dir)?;
    let is_ours = found.is_dir() && found.uid() == getuid().as_raw();
    if is_ours && found.mode() & 0o777 == 0o700 {
        return Ok(());
    }
    let why = format!("`{}` can be entered by others; remove it", dir.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}
