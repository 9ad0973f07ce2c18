//! Unpacking PostgreSQL: a `.txz` (tar, xz) inside a jar (zip).

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::Error;

/// Unpacks the one `.txz` inside `jar` into the folder `to`. Takes about a second of processor time.
pub(crate) fn postgres(jar: &Path, to: &Path) -> Result<(), Error> {
    let broken = |reason: String| Error::Unpack { archive: jar.to_owned(), reason };
    let file = File::open(jar).map_err(Error::io("open", jar))?;
    let mut jar = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
    let names = jar.file_names().filter_map(Result::ok);
    let server =
        names.map(std::borrow::Cow::into_owned).find(|name| Path::new(name).extension() == Some("txz".as_ref()));
    let server = server.ok_or_else(|| broken("it holds no .txz".to_owned()))?;
    let compressed = jar.by_name(&server).map_err(|error| broken(error.to_string()))?;
    // archives of several streams are allowed
    let plain = lzma_rust2::XzReader::new(BufReader::new(compressed), true);
    tar::Archive::new(plain).unpack(to).map_err(|error| broken(error.to_string()))
}
