//! Files of ours are regular ones: a pipe or a device in the place of one would be waited for, maybe for ever.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// What stands in the place of a regular file.
#[derive(Debug, thiserror::Error)]
#[error("it is {what}, not a regular file")]
pub struct NotRegular {
    what: &'static str,
}

impl NotRegular {
    fn of(kind: FileType) -> io::Error {
        let what = if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else if kind.is_symlink() {
            "a link"
        } else {
            "a device"
        };
        io::Error::new(ErrorKind::InvalidInput, Self { what })
    }

    /// Whether an error is of this kind.
    pub fn is(error: &io::Error) -> bool {
        error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Self>())
            .is_some()
    }
}

/// Opens a regular file to read it, through links.
///
/// # Errors
/// It cannot be opened, or is something else: said at once.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let opened = (File::options()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK)))
    .open(path);
    checked(opened, || fs::metadata(path))
}

/// Opens a regular file that only we write, with these options; through no link.
///
/// # Errors
/// As [`open_regular`].
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = flags(OFlags::NONBLOCK | OFlags::NOFOLLOW);
    checked(options.custom_flags(flags).open(path), || {
        fs::symlink_metadata(path)
    })
}

/// Opens a lock file of ours, and makes it if it is not there.
///
/// # Errors
/// As [`open_regular`].
pub fn open_lock(path: &Path, mode: u32) -> io::Result<File> {
    open_own(path, File::options().create(true).append(true).mode(mode))
}

/// All bytes of a regular file.
///
/// # Errors
/// As [`open_regular`].
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All bytes of a regular file that has at most so many; what `/proc` shows has no size, and may have no end.
///
/// # Errors
/// As [`open_regular`], or [`ErrorKind::FileTooLarge`].
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open_regular(path)?;
    if file.metadata()?.len() <= most {
        let limit = most.saturating_add(1);
        file.take(limit).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < limit {
            return Ok(bytes);
        }
    }
    let why = format!("it has more than {most} bytes");
    Err(io::Error::new(ErrorKind::FileTooLarge, why))
}

/// The text of a regular file.
///
/// # Errors
/// As [`open_regular`], or it is no UTF-8.
pub fn read_regular_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// The file, if it is a regular one; the system's own error says nothing of what is in the way.
fn checked(
    opened: io::Result<File>,
    look: impl Fn() -> io::Result<fs::Metadata>,
) -> io::Result<File> {
    let kind = match &opened {
        Ok(file) => file.metadata()?.file_type(),
        Err(_) => match look() {
            Ok(found) => found.file_type(),
            Err(_) => return opened,
        },
    };
    if kind.is_file() {
        opened
    } else {
        Err(NotRegular::of(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_named_and_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        for (name, what) in [("pipe", "a pipe"), ("folder", "a directory")] {
            for error in [
                read_regular(&at(name)).unwrap_err(),
                open_lock(&at(name), 0o600).unwrap_err(),
            ] {
                assert!(NotRegular::is(&error), "{error}");
                let text = error.to_string();
                assert_eq!(text, format!("it is {what}, not a regular file"));
            }
        }
        assert_eq!(read_regular_text(&at("file")).unwrap(), "text");
        assert_eq!(read_regular_text(&at("link")).unwrap(), "text");
        assert!(NotRegular::is(&open_lock(&at("link"), 0o600).unwrap_err()));
        assert_eq!(read_at_most(&at("file"), 4).unwrap(), b"text");
        let error = read_at_most(&at("file"), 3).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 3 bytes");
        // A regular file by its kind; reading on would wait for the kernel to say something.
        let log = Path::new("/proc/kmsg");
        if let Ok(mut file) = open_regular(log) {
            let mut all = Vec::new();
            assert!(file.read_to_end(&mut all).is_err());
        }
        let missing = read_regular(&at("nothing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        open_lock(&at("lock"), 0o600).unwrap().try_lock().unwrap();
    }
}
