//! A record as compressed JSON.

use std::io::{self, BufReader, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{Mode, write_atomically};
use super::regular::open_regular;
use super::{NotRegular, StoreError};

/// Writes a record as gzipped JSON, by way of a temporary file.
///
/// # Errors
/// Names the file and the step.
pub fn write_packed(path: &Path, record: &impl Serialize) -> Result<(), StoreError> {
    let packed = || -> io::Result<Vec<u8>> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        serde_json::to_writer(&mut packed, record)?;
        packed.flush()?;
        packed.finish()
    };
    let bytes = packed().map_err(StoreError::io("write", path))?;
    write_atomically(path, &bytes, Mode::Private)
}

/// Reads such a record; none where there is none.
///
/// # Errors
/// It cannot be read, or is no such record.
pub fn read_packed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !NotRegular::is(&error) => {
            return Ok(None);
        }
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let unpacked = BufReader::new(GzDecoder::new(BufReader::new(file)));
    serde_json::from_reader(unpacked)
        .map(Some)
        .map_err(|error| StoreError::Damaged {
            path: path.to_owned(),
            line: error.line(),
            why: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_cut_one_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.gz");
        assert_eq!(read_packed::<Vec<u32>>(&path).unwrap(), None);
        write_packed(&path, &vec![1, 2, 3]).unwrap();
        assert_eq!(read_packed(&path).unwrap(), Some(vec![1, 2, 3]));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = read_packed::<Vec<u32>>(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
