//! Several texts as one archive.

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use crate::base::Timestamp;

/// A gzipped tar of one folder. Everything in it is of the same time and of nobody, so that the same texts are the same bytes.
///
/// # Errors
/// A name is longer than an archive can take, or a text larger.
pub fn tar_gz(
    folder: &str,
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    at: Timestamp,
) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(at.0 / 1000);
        archive.append_data(&mut header, format!("{folder}/{name}"), bytes.as_slice())?;
    }
    archive.into_inner()?.finish()
}
